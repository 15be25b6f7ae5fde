"""Intervals over classes: against copies of classes written out, and against many fresh sets."""

import math

import pytest
import torch

from metric_lightning.functional.class_bootstrap import JudgedPairs, class_intervals
from metric_lightning.functional.verification import count_pairs, roc_auc
from metric_lightning.metrics import EmbeddedSet, VerificationMetrics


def a_set(seed: int, classes: int = 12, each: int = 5) -> EmbeddedSet:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(each)
    # Some classes are much wider than others: pairs are far from independent.
    width = torch.rand(classes, generator=generator) * 2
    centres = 2 * torch.randn(classes, 2, generator=generator)
    return EmbeddedSet(
        centres[labels] + width[labels, None] * torch.randn(len(labels), 2, generator=generator), labels, labels * 0 - 1
    )


def test_a_replicate_counts_a_class_as_often_as_it_was_drawn():
    found = a_set(0, classes=4, each=3)
    first, second = torch.triu_indices(12, 12, 1)
    distances = (found.embeddings[first] - found.embeddings[second]).norm(dim=1)
    pairs = JudgedPairs(distances, found.labels[first], found.labels[second])
    seen = class_intervals(pairs, {"auc": roc_auc}, replicates=40, seed=5)["auc"]
    generator, values = torch.Generator().manual_seed(5), []
    for _ in range(40):
        drawn = torch.randint(0, 4, (4,), generator=generator).tolist()
        listed = []  # pairs of the copies, one by one
        for i, j, distance in zip(pairs.first.tolist(), pairs.second.tolist(), distances.tolist(), strict=True):
            times = drawn.count(i) * (1 if i == j else drawn.count(j))
            listed += [(distance, i == j)] * times
        counts = count_pairs(torch.tensor([pair[0] for pair in listed]), torch.tensor([pair[1] for pair in listed]))
        values.append(roc_auc(counts))
    ends = torch.tensor(values, dtype=torch.float64).nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    assert seen.low == pytest.approx(float(ends[0]), abs=1e-6) and seen.high == pytest.approx(float(ends[1]), abs=1e-6)


def test_intervals_hold_the_figure_of_endless_data_about_as_often_as_they_say():
    metric = VerificationMetrics(replicates=25, false_accept_rates=())
    truth = torch.tensor([metric.evaluate(a_set(seed))["equal_error_rate"] for seed in range(100, 140)]).mean()
    held = []
    for seed in range(20):
        figures = metric.evaluate(a_set(seed))
        assert figures["equal_error_rate_low"] <= figures["equal_error_rate_high"]
        held.append(figures["equal_error_rate_low"] <= truth <= figures["equal_error_rate_high"])
    assert sum(held) >= 14  # 95% of classes drawn from endlessly many; twelve classes are few


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_every_figure_gets_its_ends(distance):
    figures = VerificationMetrics(replicates=20, distance=distance).evaluate(a_set(1))
    for name in ("roc_auc", "equal_error_rate", "tar_at_far_0_1"):
        assert figures[f"{name}_low"] <= figures[name] <= figures[f"{name}_high"]


def test_two_classes_have_no_interval():
    found = a_set(0, classes=2)
    figures = VerificationMetrics(replicates=5).evaluate(found)
    assert math.isnan(figures["roc_auc_low"]) and math.isnan(figures["roc_auc_high"])


def test_intervals_are_of_the_distance_that_is_judged_by():
    """A zero vector is at cosine distance 1 of all, not at the Euclidean distance of unit rows."""
    found = EmbeddedSet(
        torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.3], [-1.0, 0.0], [0.0, 1.0]]),
        torch.arange(6) // 2,
        torch.arange(6),
    )
    metric = VerificationMetrics(replicates=20, distance="cosine", bins=None)
    first, second = torch.triu_indices(6, 6, 1)
    pairs = JudgedPairs(
        metric.distances(found.embeddings[first], found.embeddings[second]), found.labels[first], found.labels[second]
    )
    expected = class_intervals(pairs, metric._judged_by(), 20)
    figures = metric.evaluate(found)
    for name, ends in expected.items():
        assert (figures[f"{name}_low"], figures[f"{name}_high"]) == (ends.low, ends.high)


@pytest.mark.parametrize("arguments", [{"replicates": 1}, {"replicates": -2}, {"replicates": 5, "pairs_file": "p.txt"}])
def test_bad_replicates_are_named(arguments):
    with pytest.raises(ValueError, match="must be 0 or at least 2, and 0 with a pairs_file"):
        VerificationMetrics(**arguments)


def test_too_many_samples_are_refused():
    many = EmbeddedSet(torch.zeros(5000, 1), torch.arange(5000), torch.arange(5000))
    with pytest.raises(ValueError, match="resamples classes of at most 4096 samples"):
        VerificationMetrics(replicates=5, bins=10)._intervals(many)

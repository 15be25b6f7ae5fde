import math

import pytest
import torch

from metric_lightning.metrics import EmbeddedSet, OneShotTrials


def runs(number: int, ways: int) -> torch.Tensor:
    """Labels of runs: the classes in order, then shuffled."""
    return torch.cat(
        [torch.cat([r * ways + torch.arange(ways), r * ways + torch.randint(ways, (ways,))]) for r in range(number)]
    )


@pytest.mark.parametrize("kind", ["random", "tied"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_equals_a_loop(kind, distance):
    labels = runs(3, 4) + 7
    points = torch.randn(24, 3) if kind == "random" else torch.randint(1, 3, (24, 2)).float()
    compared = points.double() if distance == "euclidean" else torch.nn.functional.normalize(points).double()
    hits = []
    for run in range(3):
        known, told = range(8 * run, 8 * run + 4), range(8 * run + 4, 8 * run + 8)
        for item in told:
            d = [float((compared[item] - compared[other]).norm()) for other in known]
            nearest = [labels[other] for other, value in zip(known, d, strict=True) if value <= min(d) + 1e-12]
            hits.append(sum(label == labels[item] for label in nearest) / len(nearest))
    found = OneShotTrials(4, distance).evaluate(EmbeddedSet(points, labels, torch.arange(24)))
    values = torch.tensor(hits, dtype=torch.float64)
    if kind == "random" or distance == "euclidean":  # directions that are equal may differ by rounding
        assert found["one_shot_accuracy"] == pytest.approx(float(values.mean()))
        assert found["one_shot_accuracy_interval"] == pytest.approx(1.96 * float(values.std()) / math.sqrt(12))


def test_the_order_is_that_of_the_indices():
    labels, points = runs(2, 3), torch.randn(12, 2)
    metric, order = OneShotTrials(3), torch.randperm(12)
    metric.update(points[order[:5]], labels[order[:5]], order[:5])
    metric.update(points[order[5:]], labels[order[5:]], order[5:])
    assert metric.compute() == metric.evaluate(EmbeddedSet(points, labels, torch.arange(12)))


@pytest.mark.parametrize(
    "labels",
    [torch.arange(40) // 10, torch.arange(40) % 20 // 2, torch.arange(30), torch.empty(0), torch.ones(40, 2)],
    ids=["sorted by class", "a class twice", "other length", "empty", "several labels"],
)
def test_what_holds_no_trials_has_no_figure(labels):
    assert OneShotTrials().evaluate(EmbeddedSet(torch.randn(len(labels), 2), labels.long(), torch.arange(0))) == {}


def test_bad_arguments():
    with pytest.raises(ValueError, match="ways=1 must be at least 2"):
        OneShotTrials(1)
    with pytest.raises(ValueError, match="distance='dot'"):
        OneShotTrials(distance="dot")
    with pytest.raises(ValueError, match="finite"):
        OneShotTrials(2).evaluate(EmbeddedSet(torch.full((4, 1), math.nan), torch.arange(4) % 2, torch.arange(4)))

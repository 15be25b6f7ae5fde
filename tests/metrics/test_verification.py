import math

import numpy as np
import pytest
import torch
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from metric_lightning.functional import pair_distances as pairwise
from metric_lightning.functional.pair_distances import count_all_pairs, pair_distances
from metric_lightning.functional.verification import (
    accuracy,
    best_threshold,
    count_pairs,
    equal_error_rate,
    fold_accuracy,
    roc_auc,
    true_accept_rate,
)
from metric_lightning.metrics import EmbeddedSet, VerificationMetrics, fit_calibration
from metric_lightning.metrics.calibration import calibration_from
from metric_lightning.metrics.pair_list import read_pairs
from metric_lightning.parts import describe

from . import oracles


def embedded(embeddings, labels):
    return EmbeddedSet(embeddings, labels, torch.arange(len(labels)))


def all_pairs(embeddings, labels, distance="euclidean"):
    d = oracles.distances(embeddings, embeddings, distance)
    i, j = np.triu_indices(len(labels), 1)
    same = labels[:, None] == labels if labels.ndim == 1 else (labels[:, None] & labels).any(-1)
    return d[i, j], same.numpy()[i, j]


def assert_figures(pairs, d, same):
    false_accept, accept, _ = roc_curve(same, -d, drop_intermediate=False)
    assert roc_auc(pairs) == pytest.approx(roc_auc_score(same, -d), abs=1e-12)
    for far in (0.0, 0.1, 0.01, 0.001, 0.5, 1.0):
        assert true_accept_rate(pairs, far) == pytest.approx(accept[false_accept <= far].max(), abs=1e-12)
    line = interp1d(false_accept, accept)
    assert equal_error_rate(pairs) == pytest.approx(brentq(lambda x: 1 - x - line(x), 0, 1), abs=1e-6)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("metric_lightning.functional.scores.BLOCK_ELEMENTS", 2000)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["random", "tied", "duplicates", "several labels"])
def test_all_pairs_of_a_set(kind, distance):
    labels = torch.randint(4, (60,))
    embeddings = torch.randn(60, 4) + torch.eye(4)[labels]
    if kind == "tied":
        embeddings = torch.randint(1, 3, (60, 2)).float()
    if kind == "duplicates":
        embeddings[10:30] = embeddings[10]
        embeddings[30:40] = embeddings[5]
    if kind == "several labels":
        labels = torch.rand(60, 4) < 0.2
    d, same = all_pairs(embeddings, labels, distance)
    d = d.round(12).astype(np.float32)  # what is equal but for rounding ties
    assert_figures(count_all_pairs(embeddings, labels, distance), d, same)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_bins_are_close_and_stay_within_their_bound(distance):
    labels = torch.randint(4, (90,))
    embeddings = torch.randn(90, 4) + torch.eye(4)[labels]
    exact = count_all_pairs(embeddings, labels, distance)
    fine = count_all_pairs(embeddings, labels, distance, bins=2**20)
    assert fine.same.sum() == exact.same.sum() and fine.different.sum() == exact.different.sum()
    assert roc_auc(fine) == pytest.approx(roc_auc(exact), abs=1e-4)
    assert equal_error_rate(fine) == pytest.approx(equal_error_rate(exact), abs=1e-3)
    assert best_threshold(fine) == pytest.approx(best_threshold(exact), abs=1e-4)
    coarse = count_all_pairs(embeddings, labels, distance, bins=20)
    bound = (coarse.same / coarse.same.sum() * coarse.different / coarse.different.sum()).sum() / 2
    assert 0 < abs(roc_auc(coarse) - roc_auc(exact)) <= float(bound)


def test_too_many_pairs_for_exact_counts(monkeypatch):
    monkeypatch.setattr(pairwise, "MOST_EXACT_PAIRS", 10)
    with pytest.raises(ValueError, match="6 samples have 15 pairs.*bins"):
        count_all_pairs(torch.randn(6, 2), torch.zeros(6))


@pytest.mark.parametrize("n_values", [3, 1000])
def test_a_list_of_pairs(n_values):
    d, same = torch.randint(n_values, (300,)) / 8.0, torch.rand(300) < 0.3
    pairs = count_pairs(d, same)
    assert_figures(pairs, d.numpy(), same.numpy())
    for threshold in (0.0, 0.1, 0.25, 77.0):
        right = (d <= threshold) == same
        assert accuracy(pairs, threshold) == pytest.approx(float(right.double().mean()))
        balanced = (right[same].double().mean() + right[~same].double().mean()) / 2
        assert accuracy(pairs, threshold, balanced=True) == pytest.approx(float(balanced))


@pytest.mark.parametrize("balanced", [False, True])
def test_the_fitted_threshold_is_the_best(balanced):
    d, same = torch.randint(40, (200,)).double(), torch.rand(200) < 0.3
    d[same] -= 9
    pairs = count_pairs(d, same)
    found = best_threshold(pairs, balanced)
    best = max(accuracy(pairs, t, balanced) for t in np.arange(-11, 42, 0.5))
    assert accuracy(pairs, found, balanced) == pytest.approx(best)
    reversed_pairs = count_pairs(torch.tensor([1.0, 2.0]), torch.tensor([False, True]))
    assert best_threshold(reversed_pairs) < 1.0


def test_folds_as_lfw_does():
    d, same = torch.rand(200, dtype=torch.float64), torch.arange(200) % 20 < 10
    d[same] *= 0.7
    values, thresholds = [], []
    for fold in range(10):
        held = torch.arange(200) // 20 == fold
        candidates = np.concatenate([[-1.0], np.sort(d[~held]), [2.0]])
        middles = (candidates[1:] + candidates[:-1]) / 2
        scores = [float(((d[~held] <= t) == same[~held]).double().mean()) for t in middles]
        thresholds.append(middles[int(np.argmax(scores))])
        values.append(float(((d[held] <= thresholds[-1]) == same[held]).double().mean()))
    found = fold_accuracy(d, same)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.standard_error == pytest.approx(np.std(values, ddof=1) / math.sqrt(10))
    assert found.thresholds == pytest.approx(thresholds)
    shuffled = torch.randperm(200)
    given = fold_accuracy(d[shuffled], same[shuffled], (torch.arange(200) // 20)[shuffled])
    assert given.mean == pytest.approx(found.mean)
    with pytest.raises(ValueError, match="at least two"):
        fold_accuracy(d, same, 1)


def test_perfect_and_one_kind():
    labels = torch.arange(30) % 3
    for embeddings in (torch.eye(3)[labels], torch.eye(3)[labels] + 1e-2 * torch.randn(30, 3)):
        for bins in (None, 2**20):
            metric = VerificationMetrics(bins=bins)
            metric.fit(embedded(embeddings, labels))
            figures = metric.evaluate(embedded(embeddings, labels))
            assert figures.pop("equal_error_rate") == 0.0
            assert set(figures.values()) == {1.0}
    for labels in (torch.zeros(5), torch.arange(5), torch.empty(0), torch.zeros(1)):
        metric = VerificationMetrics(bins=None)
        samples = embedded(torch.randn(len(labels), 2), labels)
        metric.fit(samples)
        assert metric.calibration is None
        assert all(math.isnan(value) for value in metric.evaluate(samples).values())
        assert all(math.isnan(v) for v in VerificationMetrics().evaluate(samples).values())


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_probability_is_calibrated(method):
    d = torch.rand(40000, dtype=torch.float64) * 4
    chance = 1 / (1 + torch.exp(3 * (d - 1.5)))
    same = torch.rand(40000) < chance
    calibration = fit_calibration(count_pairs(d, same), method, balanced=False)
    grid = torch.linspace(0.1, 3.9, 50, dtype=torch.float64)
    expected = 1 / (1 + torch.exp(3 * (grid - 1.5)))
    torch.testing.assert_close(calibration.probability(grid), expected, atol=0.05, rtol=0)
    assert calibration.threshold == pytest.approx(1.5, abs=0.1)
    again = calibration_from(describe(calibration))
    assert torch.equal(again.probability(grid), calibration.probability(grid))
    assert again.same(torch.tensor([1.0, 2.0])).tolist() == [True, False]
    balanced = fit_calibration(count_pairs(d, same), method, balanced=True)
    assert float((balanced.probability(grid) - calibration.probability(grid)).min()) > -0.01


def test_probability_of_separable_pairs_is_finite():
    pairs = count_pairs(torch.tensor([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), torch.tensor([True] * 3 + [False] * 3))
    calibration = fit_calibration(pairs)
    assert math.isfinite(calibration.slope) and calibration.threshold == 1.5
    assert calibration.probability(torch.tensor([1.0, 2.0])).tolist() == pytest.approx([4 / 5, 1 / 5], abs=1e-3)
    with pytest.raises(ValueError, match="same and different"):
        fit_calibration(count_pairs(torch.tensor([1.0]), torch.tensor([True])))
    with pytest.raises(ValueError, match="method='beta'"):
        fit_calibration(pairs, "beta")


def test_threshold_fitted_on_other_data_is_kept_in_the_state():
    labels = torch.arange(60) % 3
    val = embedded(torch.eye(3)[labels] + 0.4 * torch.randn(60, 3), labels)
    test = embedded(torch.eye(3)[labels] + 0.4 * torch.randn(60, 3), labels)
    metric = VerificationMetrics(bins=None)
    assert "verification_accuracy" not in metric.evaluate(test)
    metric.fit(val)
    d, same = all_pairs(test.embeddings, labels)
    right = (d <= metric.calibration.threshold) == same
    expected = (right[same].mean() + right[~same].mean()) / 2
    assert metric.evaluate(test)["verification_accuracy"] == pytest.approx(expected)
    module = torch.nn.ModuleList([VerificationMetrics(bins=None)])
    module.load_state_dict(torch.nn.ModuleList([metric]).state_dict())
    assert module[0].evaluate(test) == metric.evaluate(test)
    module.load_state_dict({})
    assert module[0].calibration is None
    assert describe(metric.clone()) == describe(metric)


def test_pairs_of_a_file(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text(
        "# first second same fold\n" + "".join(f"{i},{(i * 7 + 3) % 40},{i % 2},{i // 10}\n" for i in range(40))
    )
    shuffled = torch.randperm(40)
    embeddings = torch.randn(40, 3)
    samples = EmbeddedSet(embeddings[shuffled], torch.zeros(40), shuffled)
    figures = VerificationMetrics(pairs_file=str(file)).evaluate(samples)
    i = torch.arange(40)
    d = (embeddings - embeddings[(i * 7 + 3) % 40]).norm(dim=1)
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(i % 2, -d))
    assert figures["fold_accuracy"] == pytest.approx(fold_accuracy(d, i % 2 == 1, 4).mean)
    with pytest.raises(ValueError, match="1 samples that aren't in the set, 5 first"):
        VerificationMetrics(pairs_file=str(file)).evaluate(EmbeddedSet(*(v[shuffled != 5] for v in samples[:3])))
    for bad in (
        "0 1\n",
        "0 1 2\n",
        "0 1 1 x\n",
        "0 1 1\n0 1 1 0\n",
        "# nothing\n",
        "2 1\na 1 2\n",
        "1\na 1 b 1\na 1 2\n",
    ):
        file.write_text(bad)
        with pytest.raises(ValueError, match="pairs.csv"):
            read_pairs(file)
    file.write_text("1 1\na\na 1 b 2\n")  # as LFW lists, cut short
    with pytest.raises(ValueError, match="pairs.csv:2"):
        read_pairs(file)
    file.write_text("\ufeff0001 0002 1\na b 0\n", encoding="utf-8")
    assert read_pairs(file).first == ["0001", "a"]
    file.write_text("0001 0002 1\n")
    assert read_pairs(file).second == ["2"]


def test_listed_pairs_of_equal_directions_tie():
    x = torch.randn(200, 16)
    assert not pair_distances(x, x, "cosine").any() and not pair_distances(x, 3 * x, "cosine").any()


def test_pairs_of_files_as_lfw_lists_them(tmp_path):
    paths = [f"lfw/{name}/{name}_{k:04d}.jpg" for name in ("Ada", "Bob", "Cy") for k in (1, 2)]
    file = tmp_path / "pairs.txt"
    file.write_text("2\t1\nAda\t1\t2\nAda\t1\tBob\t2\nCy\t2\t1\nBob\t1\tCy\t1\n")
    shuffled = torch.randperm(6)
    embeddings = torch.randn(6, 3)
    samples = EmbeddedSet(embeddings[shuffled], torch.arange(6)[shuffled] // 2, shuffled)
    metric = VerificationMetrics(pairs_file=str(file))
    metric.take_part("test", paths.__getitem__)
    figures = metric.evaluate(samples)
    d = (embeddings[[0, 0, 5, 2]] - embeddings[[1, 3, 4, 4]]).norm(dim=1)
    same = torch.tensor([True, False, True, False])
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(same, -d))
    assert metric.pairs.folds.tolist() == [0, 0, 1, 1]
    assert figures["fold_accuracy"] == pytest.approx(fold_accuracy(d, same, metric.pairs.folds).mean)

    # The validation part holds other people: the threshold is that of all its pairs, and the list has no figures.
    metric.take_part("val", lambda index: f"others/Dee/Dee_{index:04d}.jpg")
    metric.fit(samples)
    expected = VerificationMetrics()
    expected.fit(samples)
    assert metric.calibration.threshold == expected.calibration.threshold
    assert metric.evaluate(samples) == {}

    metric.take_part("test", lambda index: paths[0] if index == 1 else paths[index])
    with pytest.raises(ValueError, match="Ada/Ada_0001.jpg is the end of 2 paths"):
        metric.evaluate(samples)
    metric.take_part("test", lambda index: paths[index] if index else "lfw/Ada/other.jpg")
    with pytest.raises(ValueError, match="1 samples that aren't in the set, Ada/Ada_0001.jpg first"):
        metric.evaluate(samples)


def test_a_list_by_index_is_of_one_part(tmp_path):
    file = tmp_path / "pairs.txt"
    file.write_text("0 1 1\n0 2 0\n")
    samples = EmbeddedSet(torch.randn(9, 3), torch.arange(9) // 3, torch.arange(9))
    listed, everything = VerificationMetrics(pairs_file=str(file), pairs_part="val"), VerificationMetrics()
    listed.take_part("test")
    assert listed.evaluate(samples) == {}
    listed.fit(samples)
    everything.fit(samples)
    assert listed.calibration.threshold == everything.calibration.threshold
    listed.take_part("val")
    d = (samples.embeddings[0] - samples.embeddings[1:3]).norm(dim=1)
    assert listed.evaluate(samples)["roc_auc"] == float(d[0] < d[1])
    listed.fit(samples)
    assert listed.calibration.threshold != everything.calibration.threshold
    with pytest.raises(ValueError, match="pairs_part='train' must be 'val' or 'test'"):
        VerificationMetrics(pairs_file=str(file), pairs_part="train")


def test_distances_of_pairs():
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    for distance in ("euclidean", "cosine"):
        expected = np.diag(oracles.distances(a, b, distance))
        np.testing.assert_allclose(pair_distances(a, b, distance).numpy(), expected, rtol=1e-6)
    assert pair_distances(a, a, "cosine").tolist() == pytest.approx([0] * 5, abs=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"false_accept_rates": (2.0,)}, "false_accept_rates="),
        ({"bins": 0}, "bins=0"),
        ({"distance": "dot"}, "distance='dot'"),
        ({"calibration": "beta"}, "calibration='beta'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        VerificationMetrics(**arguments)


def test_pairs_of_a_collapsed_embedding_are_counted_in_bins_too():
    labels = torch.tensor([0, 0, 1, 1, 1])
    for scale in (0.0, 1.0, 1e-20):
        exact, binned = (count_all_pairs(torch.full((5, 3), scale), labels, bins=bins) for bins in (None, 2**20))
        assert binned.distances.tolist() == pytest.approx(exact.distances.tolist(), abs=1e-20) == [0.0]
        assert (binned.same.tolist(), binned.different.tolist()) == ([4.0], [6.0])

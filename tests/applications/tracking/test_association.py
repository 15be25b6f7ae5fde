from itertools import permutations

import numpy as np
import pytest
import torch

from metric_lightning.applications.tracking.appearance import ColourHistogram, RememberedAppearance
from metric_lightning.applications.tracking.association import CUES, Ends, OverlapScore, assigned, cues, fitted
from metric_lightning.applications.tracking.geometry import moved, overlaps, velocity


def slow_overlap(a: list[float], b: list[float]) -> float:
    """Count pixels."""
    grid = np.zeros((2, 60, 60), dtype=bool)
    for layer, (x, y, w, h) in zip(grid, (a, b), strict=True):
        layer[int(y) : int(y + h), int(x) : int(x + w)] = True
    return float((grid[0] & grid[1]).sum() / max(1, (grid[0] | grid[1]).sum()))


def test_overlap_is_that_of_the_pixels() -> None:
    random = np.random.default_rng(0)
    first, second = (np.hstack([random.integers(0, 25, (6, 2)), random.integers(0, 30, (6, 2))]) for _ in range(2))
    found = overlaps(first.astype(float), second.astype(float))
    expected = [[slow_overlap(a, b) for b in second.tolist()] for a in first.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert 0 < found.max() < 1


@pytest.mark.parametrize("seed", range(5))
def test_the_assignment_is_the_best_of_all(seed: int) -> None:
    scores = np.random.default_rng(seed).random((4, 5))
    best = max(sum(scores[row, column] for row, column in enumerate(order)) for order in permutations(range(5), 4))
    assert sum(scores[pair] for pair in assigned(scores)) == pytest.approx(best)
    assert all(scores[pair] >= 0.6 for pair in assigned(scores, least=0.6))


def test_nobody_is_assigned_to_nothing() -> None:
    assert assigned(np.zeros((0, 3))) == [] and assigned(np.zeros((3, 0))) == []


def test_velocity_is_that_of_the_last_boxes() -> None:
    boxes = np.array([[0.0, 0, 4, 8], [90.0, 0, 4, 8], [92.0, 1, 4, 8], [94.0, 2, 4, 8]])
    np.testing.assert_allclose(velocity(np.array([1, 11, 12, 13]), boxes), [2.0, 1.0])
    np.testing.assert_allclose(moved(boxes[-1:], np.array([[2.0, 1.0]]), np.array([3]))[0], [100.0, 5.0, 4.0, 8.0])


def ends(count: int = 2) -> Ends:
    boxes = np.array([[0.0, 0, 10, 20], [40.0, 0, 10, 20]])[:count]
    speeds = np.array([[2.0, 0.0], [0.0, 0.0]])[:count]
    return Ends(boxes, speeds, np.array([5, 10])[:count], [torch.zeros(1, 1)] * count)


def test_cues_say_what_they_are_called() -> None:
    rows = cues(ends(), np.array([[10.0, 0, 10, 20], [40.0, 0, 10, 40]]), np.array([[0.1, 0.2], [0.3, 0.4]]))
    first = dict(zip(CUES, rows[0, 0], strict=True))
    # Track 1 was expected exactly at detection 1, half its height away in 5 frames.
    assert first == pytest.approx(
        {"appearance": 0.1, "overlap": 1.0, "offset": 0.0, "speed": 0.1, "height": 0.0, "gap": 5.0}
    )
    last = dict(zip(CUES, rows[1, 1], strict=True))
    assert last["height"] == pytest.approx(np.log(2)) and last["gap"] == 10 and last["overlap"] == pytest.approx(0.5)


def test_the_classifier_uses_what_tells_pairs_apart() -> None:
    random = np.random.default_rng(0)
    rows, same = random.random((400, len(CUES))), random.random(400) < 0.2
    rows[:, 0] = np.where(same, 0.2, 0.8) + random.normal(0, 0.05, 400)
    probability = fitted(rows, same).predict_proba(rows)[:, 1]
    assert probability[same].min() > 0.5 > probability[~same].max()
    with pytest.raises(ValueError, match="one kind"):
        fitted(rows, np.ones(400, dtype=bool))


def test_velocity_is_what_sets_the_two_baselines_apart() -> None:
    box = np.array([[10.0, 0, 10, 20]])
    assert OverlapScore()(ends(1), box, torch.zeros(1)) == 0
    assert OverlapScore(velocity=True)(ends(1), box, torch.zeros(1)) == 1


def test_histograms_are_those_of_a_loop() -> None:
    crops = torch.randint(0, 256, (3, 3, 6, 4), dtype=torch.uint8)
    colours = ColourHistogram(bins=2, stripes=2)
    found = colours.distances(colours.features(crops), colours.features(crops))
    for i, one in enumerate(crops):
        for j, other in enumerate(crops):
            alike = 0.0
            for stripe in (slice(0, 3), slice(3, 6)):
                counts = [{}, {}]
                for tally, crop in zip(counts, (one, other), strict=True):
                    for pixel in crop[:, stripe].flatten(1).T.tolist():
                        key = tuple(value >= 128 for value in pixel)
                        tally[key] = tally.get(key, 0) + 1 / 12
                alike += sum((share * counts[1].get(key, 0)) ** 0.5 for key, share in counts[0].items()) / 2
            assert found[i, j].item() == pytest.approx(max(0.0, 1 - alike) ** 0.5, abs=1e-3)


def test_remembered_distances_are_the_same_and_made_once() -> None:
    crops = torch.randint(0, 256, (6, 3, 6, 4), dtype=torch.uint8)
    colours = ColourHistogram()
    remembered = RememberedAppearance(colours, crops)
    places = remembered.features(crops)
    expected = colours.distances(colours.features(crops), colours.features(crops))
    torch.testing.assert_close(remembered.distances(places[:2], places[1:4]), expected[:2, 1:4])
    torch.testing.assert_close(remembered.distances(places, places), expected)
    remembered._features = torch.full_like(remembered._features, torch.nan)
    torch.testing.assert_close(remembered.distances(places, places), expected)
    with pytest.raises(ValueError, match="give the same"):
        remembered.features(crops[:2])

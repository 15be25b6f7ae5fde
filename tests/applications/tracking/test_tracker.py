from pathlib import Path

import numpy as np
import pytest
import torch

from metric_lightning.applications.tracking import (
    AppearanceScore,
    ColourHistogram,
    Detections,
    OverlapScore,
    Tracker,
    association_accuracy,
    learned_score,
    mot_figures,
    read_detections,
)
from metric_lightning.applications.tracking.video import crops


def walk(frames: list[int], rows: dict[int, list[float]]) -> Detections:
    """People who stand on a line: identity -> left edge in each frame, nan where hidden."""
    table = [(f, i, x) for i, xs in rows.items() for f, x in zip(frames, xs, strict=True) if not np.isnan(x)]
    table.sort()
    boxes = np.array([[x, 0.0, 10.0, 20.0] for _, _, x in table])
    column = np.array([[f, i] for f, i, _ in table])
    return Detections(column[:, 0], column[:, 1], boxes, np.ones(len(table), dtype=bool))


@pytest.fixture(scope="module")
def known(replica: tuple[Path, Path]) -> tuple[Detections, torch.Tensor]:
    found = read_detections(replica[1])
    found = found.where(found.considered)
    return found, crops(replica[0], found.frames, found.boxes, (24, 12))


def test_identities_are_kept_through_occlusion_and_not_beyond() -> None:
    hidden = float("nan")
    seen = walk([1, 2, 3, 4, 5, 6], {7: [0, 1, hidden, hidden, 4, 5], 8: [100, 101, 102, 103, 104, 105]})
    kept = Tracker(OverlapScore(), least_score=0.3, max_gap=3).track(seen)
    assert len(set(kept.identities[seen.identities == 7])) == 1
    lost = Tracker(OverlapScore(), least_score=0.3, max_gap=2).track(seen)
    assert lost.identities[seen.identities == 7].tolist() == [1, 1, 3, 3]
    assert set(lost.identities[seen.identities == 8]) == {2}


def test_short_tracks_are_left_out() -> None:
    seen = walk([1, 2, 3], {1: [0, 1, 2], 2: [200, float("nan"), float("nan")]})
    found = Tracker(OverlapScore(), least_score=0.3, least_detections=2).track(seen)
    assert found.frames.tolist() == [1, 2, 3] and set(found.identities) == {1}


def test_no_detection_gets_the_identity_of_another_in_its_frame(known: tuple[Detections, torch.Tensor]) -> None:
    detections, pictures = known
    for score in (OverlapScore(), AppearanceScore(ColourHistogram())):
        found = Tracker(score, least_score=0.0, max_gap=50).track(detections, pictures)
        assert len(set(zip(found.frames, found.identities, strict=True))) == len(found.frames)


def test_colours_find_people_again_where_overlap_can_not(known: tuple[Detections, torch.Tensor]) -> None:
    """In the replica everybody has another colour, and after 10 frames nobody is where they were."""
    detections, pictures = known
    colours = association_accuracy(AppearanceScore(ColourHistogram()), detections, pictures, 10)
    overlap = association_accuracy(OverlapScore(), detections, pictures, 10)
    assert colours.accuracy == 1.0 and colours.asked == overlap.asked > 20
    assert overlap.accuracy < 0.8


def test_accuracy_counts_those_who_are_there_again() -> None:
    seen = walk([1, 6], {1: [0, 0], 2: [100, 300], 3: [300, float("nan")]})
    found = association_accuracy(OverlapScore(), seen, torch.zeros(5, 3, 2, 2, dtype=torch.uint8), 5)
    # 1 stays, 2 takes the place of 3, who leaves: 3 isn't asked for, and takes 2's detection.
    assert (found.right, found.asked) == (1, 2)


def test_the_learned_score_tracks_the_replica(known: tuple[Detections, torch.Tensor]) -> None:
    detections, pictures = known
    early = detections.frames <= 20
    score = learned_score(
        ColourHistogram(), detections.where(early), pictures[early], identities=[1, 2, 3, 4], gaps=(2, 4, 8, 12)
    )
    late = detections.where(~early)
    figures = mot_figures(late, Tracker(score).track(late, pictures[~early]))
    assert figures["idf1"] == 1.0 and figures["mota"] == 1.0 and figures["num_switches"] == 0


def test_a_score_with_an_appearance_asks_for_crops(known: tuple[Detections, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="looks at crops"):
        Tracker(AppearanceScore(ColourHistogram())).track(known[0])


def test_mot_figures_see_a_swap_and_a_miss() -> None:
    truth = walk([1, 2, 3, 4], {1: [0, 0, 0, 0], 2: [100, 100, 100, 100]})
    swapped = truth.with_identities(np.where(truth.frames <= 2, truth.identities, 3 - truth.identities))
    figures = mot_figures(truth, swapped)
    assert figures["num_switches"] == 2 and figures["idf1"] == pytest.approx(0.5)
    assert figures["mota"] == pytest.approx(1 - 2 / 8)
    missed = mot_figures(truth, truth.where(truth.frames != 3))
    assert missed["num_misses"] == 2 and missed["idf1"] == pytest.approx(2 * 6 / (8 + 6))

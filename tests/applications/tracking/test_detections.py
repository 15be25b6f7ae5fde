from pathlib import Path

import numpy as np
import pytest

from metric_lightning.applications.tracking.detections import between, mot_text, read_detections
from metric_lightning.applications.tracking.evaluation import degraded
from metric_lightning.errors import DataNotFound, UserError


def test_mot_text_is_read_back(replica: tuple[Path, Path], tmp_path: Path) -> None:
    found = read_detections(replica[1])
    (tmp_path / "tracks.txt").write_text(mot_text(found))
    again = read_detections(tmp_path / "tracks.txt")
    assert (again.frames == found.frames).all() and (again.identities == found.identities).all()
    np.testing.assert_allclose(again.boxes, found.boxes, atol=0.005)


def test_conf_0_is_not_considered(replica: tuple[Path, Path]) -> None:
    found = read_detections(replica[1])
    left_out = [(f, i) for f, i, kept in zip(found.frames, found.identities, found.considered, strict=True) if not kept]
    assert left_out == [(1, 4), (3, 4)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("frame,id,x,y,w\n1,2,3,4,5\n", "no column 'h'"),
        ("frame,id,x,y,w,h\n1,2,3,4,5,six\n", "line 2"),
        ("1,2,3,4,5\n", "line 1"),
    ],
)
def test_a_bad_file_is_named_with_its_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_detections(tmp_path / "boxes.csv")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="no file of detections"):
        read_detections(tmp_path / "nothing.csv")


def test_boxes_between_lie_on_the_line(replica: tuple[Path, Path]) -> None:
    """The replica's people walk straight: what is filled in is where they are."""
    found = read_detections(replica[1])
    found = found.where(found.considered)
    filled = between(found)
    own = filled.where(filled.identities == 1)
    assert own.frames.tolist() == list(range(1, 20))
    assert own.boxes[:, 0].tolist() == [10 + 3 * step for step in range(19)]
    # Nothing is filled in across a longer absence.
    gone = found.where((found.frames <= 3) | (found.frames >= 17))
    assert set(between(gone, longest=10).frames[between(gone, longest=10).identities == 1]) == {1, 2, 3, 17, 18, 19}


def test_degraded_leaves_out_and_shakes_the_same_for_a_seed(replica: tuple[Path, Path]) -> None:
    found = read_detections(replica[1])
    first, again, other = (degraded(found, 0.5, 0.1, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.boxes, again.boxes)
    assert len(first.frames) < 0.7 * len(found.frames) and first.frames.tolist() != other.frames.tolist()
    np.testing.assert_array_equal(degraded(found, 0.0, 0.0).boxes, found.boxes)

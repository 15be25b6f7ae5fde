"""What a run has told TensorBoard, read from its events: scalars and texts."""

from os import SEEK_CUR
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator

from metric_lightning.plots.learning_curves import Curve

_TEXT = "/text_summary"
_HEAD, _TAIL = 12, 4


def read_scalars(run: Path) -> dict[str, Curve]:
    """Return steps and values of all scalars of a run's folder, by tag; {} where there are no events.

    Values of earlier processes, before a resume, are among them; steps that were taken twice are there twice.
    """
    events = EventAccumulator(str(run), size_guidance={SCALARS: 0})
    events.Reload()
    curves: dict[str, Curve] = {}
    for tag in events.Tags()[SCALARS]:
        found = events.Scalars(tag)
        curves[tag] = [event.step for event in found], [event.value for event in found]
    return curves


def damaged_events(run: Path) -> list[str]:
    """Return the names of a folder's event files that end in the middle of an entry, as cut ones do; [] of whole ones.

    What stands before the cut is read all the same.
    """
    return [path.name for path in sorted(run.glob("events.out.tfevents.*")) if not _is_whole(path)]


def _is_whole(path: Path) -> bool:
    """Go from entry to entry of a TFRecord file: length (8 bytes), its checksum (4), content, its checksum (4)."""
    left = path.stat().st_size
    with path.open("rb") as file:
        while left >= _HEAD + _TAIL:
            length = int.from_bytes(file.read(_HEAD)[:8], "little")
            left -= _HEAD + length + _TAIL
            file.seek(length + _TAIL, SEEK_CUR)
    return left == 0


def read_texts(run: Path) -> dict[str, str]:
    """Return the last text of each tag of a run's folder; {} where there are none."""
    events = EventAccumulator(str(run), size_guidance={TENSORS: 0})
    events.Reload()
    found = {}
    for tag in events.Tags()[TENSORS]:
        if tag.endswith(_TEXT):
            content = events.Tensors(tag)[-1].tensor_proto.string_val
            found[tag.removesuffix(_TEXT)] = content[0].decode()
    return found

"""What a run has told TensorBoard, read from its events: scalars and texts."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator

from metric_lightning.plots.learning_curves import Curve

_TEXT = "/text_summary"


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

"""Scalars of a run, read from its TensorBoard events."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

from metric_lightning.plots.learning_curves import Curve


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

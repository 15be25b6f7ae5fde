"""One run in a process of its own: trains through the command line, then writes what tables and pictures need."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.harness.budget import Budget
from metric_lightning.callbacks.best_checkpoint import BestCheckpoint
from metric_lightning.callbacks.collapse_diagnosis import CollapseDiagnosis
from metric_lightning.callbacks.run_summary import as_json
from metric_lightning.callbacks.samples import samples_of
from metric_lightning.cli import MetricCLI
from metric_lightning.command_line.arguments import completed
from metric_lightning.files import write_atomically

_CALLBACKS = (Budget, CollapseDiagnosis)
_MOST_POINTS = 1000  # of each part, in pictures


def use_threads(threads: int | None) -> None:
    """Let this process compute with so many threads; None: as the environment says."""
    if threads is not None:
        torch.set_num_threads(threads)


def train(folder: Path, arguments: list[str]) -> None:
    """Train, evaluate the best checkpoint, and write `points.npz` (of two dimensions) and, last, `result.json`.

    Args:
        folder: where to.
        arguments: of the command line, "fit" first.
    """
    added = [f"--trainer.callbacks+={callback.__module__}.{callback.__name__}" for callback in _CALLBACKS]
    # Pictures and the projector of every run would cost time and room; the comparison draws its own.
    sys.argv[1:] = completed([*arguments, *added, "--default_callbacks=false", "--trainer.enable_progress_bar=false"])
    cli = MetricCLI()
    if cli.model.evaluated["test"].embeddings.shape[1] == 2:
        write_atomically(folder / "points.npz", _points(cli))
    write_atomically(folder / "result.json", as_json(_result(cli)))


def _result(cli: MetricCLI) -> dict[str, Any]:
    found: dict[type, Any] = {type(callback): callback for callback in vars(cli.trainer)["callbacks"]}
    budget, diagnosis, checkpoint = found[Budget], found[CollapseDiagnosis], found[BestCheckpoint]
    validation: dict[str, float] = {}
    if "val" in cli.model.evaluated:
        for metric in cli.model.metrics:
            validation |= metric.evaluate(cli.model.evaluated["val"], None)
    return {
        "test": _plain(cli.trainer.callback_metrics, "test/"),
        "validation": validation,
        "classes": cli.datamodule.num_classes,
        "seconds": round(budget.seconds, 2),
        "images": budget.images,
        "diagnosis": diagnosis.named,
        "checkpoint": checkpoint.best_model_path,
    }


def _plain(figures: dict[str, Any], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): float(value) for name, value in figures.items() if name.startswith(prefix)}


def _points(cli: MetricCLI) -> bytes:
    arrays: dict[str, Any] = {"class_names": np.array(cli.datamodule.class_names, dtype=np.str_)}
    for part in ("train", "test"):
        samples = samples_of(cli.trainer, cli.model, part, _MOST_POINTS)
        if samples is not None:
            arrays |= {part: samples.embeddings.numpy(), f"{part}_labels": samples.labels.numpy()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()

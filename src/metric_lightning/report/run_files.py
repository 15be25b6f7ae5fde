"""What a run has left in its folder."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from metric_lightning.callbacks.events import read_scalars, read_texts
from metric_lightning.callbacks.run_folder import FIGURES
from metric_lightning.errors import UserError
from metric_lightning.plots.learning_curves import Curve
from metric_lightning.printable import printable

_DIAGNOSIS = "diagnosis/"


class RunFiles(NamedTuple):
    """A run as its files tell it; what a run has not left is empty.

    Attributes:
        name: to tell runs apart: the folder below `lightning_logs`.
        folder: of the run.
        config: its whole configuration.
        figures: of train, val, test and fit, by name.
        record: how it was made: versions, commit, seed, machine.
        curves: steps and values of each scalar.
        diagnosis: the sentences that were said of it.
        pictures: files by name, "embedding_val.png".
    """

    name: str
    folder: Path
    config: dict[str, Any]
    figures: dict[str, dict[str, Any]]
    record: dict[str, Any]
    curves: dict[str, Curve]
    diagnosis: list[str]
    pictures: dict[str, Path]


def read_run(folder: Path) -> RunFiles:
    """Read a run's files.

    Args:
        folder: of a run, `lightning_logs/<experiment>/version_N`, or of an experiment, whose newest run is taken.

    Raises:
        UserError: there is no run.
    """
    found = _run_of(folder)
    texts = read_texts(found)
    pictures = (path for path in sorted((found / FIGURES).glob("*")) if path.suffix in (".png", ".gif"))
    return RunFiles(
        name=_name_of(found),
        folder=found,
        config=_read_yaml(found / "config.yaml"),
        figures=_read_json(found / "metrics.json"),
        record=_read_json(found / "run.json"),
        curves=read_scalars(found),
        diagnosis=[text for tag, text in texts.items() if tag.startswith(_DIAGNOSIS)],
        pictures={path.name: path for path in pictures},
    )


def _run_of(folder: Path) -> Path:
    if _is_run(folder):
        return folder
    versions = [path for path in folder.glob("version_*") if _is_run(path)]
    if not versions:
        what = "has no run in it" if folder.is_dir() else "does not exist"
        raise UserError(f"{folder} {what}; give the folder of a run, lightning_logs/<experiment>/version_N")
    return max(versions, key=_number)


def _is_run(folder: Path) -> bool:
    return (folder / "metrics.json").exists() or bool(list(folder.glob("events.out.tfevents.*")))


def _number(version: Path) -> int:
    found = re.search(r"\d+$", version.name)
    return int(found[0]) if found else -1


def _name_of(folder: Path) -> str:
    parts = folder.resolve().parts
    start = len(parts) - parts[::-1].index("lightning_logs") if "lightning_logs" in parts else len(parts) - 2
    return printable("/".join(parts[start:]))


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def _read_yaml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content

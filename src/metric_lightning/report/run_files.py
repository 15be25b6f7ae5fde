"""What a run has left in its folder."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from metric_lightning.callbacks.events import damaged_events, read_scalars, read_texts
from metric_lightning.callbacks.run_folder import FIGURES
from metric_lightning.errors import UserError
from metric_lightning.plots.learning_curves import Curve
from metric_lightning.printable import printable

_DIAGNOSIS = "diagnosis/"
_DIVERGED = "diagnosis/diverged"  # embeddings that aren't finite have no measures
_MEASURES = ("val_embedding/", "train_embedding/")  # what CollapseDiagnosis logs whenever it has looked


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
        unexamined: why no sentence, or not all, may be known of it; "" of a run that was examined, and whose events are
            whole.
        pictures: files by name, "embedding_val.png".
    """

    name: str
    folder: Path
    config: dict[str, Any]
    figures: dict[str, dict[str, Any]]
    record: dict[str, Any]
    curves: dict[str, Curve]
    diagnosis: list[str]
    unexamined: str
    pictures: dict[str, Path]


def told_apart(runs: Sequence[RunFiles]) -> list[RunFiles]:
    """Return runs of different names: equal ones, as of two machines, are told by their folders, the same by number."""
    names = [run.name for run in runs]
    folders = [printable(str(run.folder)) for run in runs]
    names = [folder if names.count(name) > 1 else name for name, folder in zip(names, folders, strict=True)]
    found = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        number = names[: place + 1].count(name)
        found.append(run._replace(name=name if names.count(name) == 1 else f"{name} ({number})"))
    return found


def read_run(folder: Path) -> RunFiles:
    """Read a run's files.

    Args:
        folder: of a run, `lightning_logs/<experiment>/version_N`, or of an experiment, whose newest run is taken.

    Raises:
        UserError: there is no run, or its files can't be read.
    """
    found = _run_of(folder)
    texts, curves = read_texts(found), read_scalars(found)
    pictures = (path for path in sorted((found / FIGURES).glob("*")) if path.suffix in (".png", ".gif"))
    return RunFiles(
        name=_name_of(found),
        folder=found,
        config=_read_yaml(found / "config.yaml"),
        figures={part: value for part, value in _read_json(found / "metrics.json").items() if isinstance(value, dict)},
        record=_read_json(found / "run.json"),
        curves=curves,
        diagnosis=[text for tag, text in texts.items() if tag.startswith(_DIAGNOSIS)],
        unexamined=_unexamined(found, curves, texts),
        pictures={path.name: path for path in pictures},
    )


def _unexamined(folder: Path, curves: dict[str, Curve], texts: dict[str, str]) -> str:
    """Say what keeps a diagnosis without a sentence from meaning that all is well, "" where nothing does."""
    if not list(folder.glob("events.out.tfevents.*")):
        return "Not known: the run's folder has no TensorBoard events, where what was diagnosed is kept."
    damaged = damaged_events(folder)
    if damaged:
        return f"Not all is known: {', '.join(damaged)} has been cut off, and what was said later is lost."
    if not any(tag.startswith(_MEASURES) for tag in curves) and _DIVERGED not in texts:
        return (
            "Not examined: CollapseDiagnosis has measured nothing (a run with `--default_callbacks false`, without a "
            "fit, or cut short)."
        )
    return ""


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
    return _read(path, json.loads)


def _read_yaml(path: Path) -> dict[str, Any]:
    return _read(path, yaml.safe_load)


def _read(path: Path, loads: Callable[[str], Any]) -> dict[str, Any]:
    """Return what a file says by name, {} where there is none."""
    if not path.exists():
        return {}
    try:
        content = loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path} can't be read ({' '.join(str(error).split())}); mend or remove it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not as a run writes it, by name; mend or remove it")
    return content

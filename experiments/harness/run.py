"""One training of a comparison: what it is, where it lands, whether it is finished."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metric_lightning import __version__
from metric_lightning.command_line.run_folder import LOGS, experiment_of

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Run:
    """A config file, settings that override it, and a seed.

    Attributes:
        method: its name in tables.
        config: the file.
        settings: (key, value) pairs as on the command line, ("trainer.max_epochs", "3").
        seed: of everything but the split of the data.
    """

    method: str
    config: Path
    settings: Settings
    seed: int

    @property
    def key(self) -> str:
        """Return a hash of what makes the result: the file, comments left out, with settings; seed; version."""
        content = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        for key, value in self.settings:
            _put(content, key.split("."), yaml.safe_load(value))
        whole = json.dumps([content, self.seed, __version__], sort_keys=True, default=str)
        return hashlib.sha256(whole.encode()).hexdigest()[:8]

    @property
    def experiment(self) -> str:
        """Return the run's folder below lightning_logs/: one for each key, so that no result is taken for another's."""
        return f"compare/runs/{experiment_of([str(self.config)])}/seed_{self.seed}-{self.key}"

    @property
    def folder(self) -> Path:
        """Return where result.json, points.npz, run.log and the versions of the run lie."""
        return LOGS / self.experiment

    def arguments(self) -> list[str]:
        """Return the command line that trains it, and goes on where an earlier attempt was stopped."""
        arguments = ["fit", "--config", str(self.config), "--experiment", self.experiment]
        arguments += [f"--seed_everything={self.seed}", *(f"--{key}={value}" for key, value in self.settings)]
        stopped = any(self.folder.glob("version_*/checkpoints/*.ckpt"))
        return [*arguments, "--ckpt_path", "last"] if stopped else arguments

    def result(self) -> dict[str, Any] | None:
        """Return what the finished run has written; None before that."""
        path = self.folder / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _put(content: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        if not isinstance(content.get(name), dict):
            content[name] = {}
        content = content[name]
    content[path[-1]] = value

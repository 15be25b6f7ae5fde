"""What is needed to make a run again: versions, code, seeds, data, machine."""

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from metric_lightning import __version__
from metric_lightning.callbacks.loss_distances import collapsed_cost
from metric_lightning.modules import MetricModule

LOSS_IN_ONE_POINT = "loss_in_one_point"
_PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "tensorboard",
    "jsonargparse",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
)


def run_record(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    """Return plain data that says how this run was made."""
    fingerprint = getattr(getattr(trainer, "datamodule", None), "fingerprint", None)
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "folder": str(Path.cwd()),
        "seed": global_seed(),
        "data": None if fingerprint is None else fingerprint(),
        # What its curves are compared with, in the report.
        LOSS_IN_ONE_POINT: collapsed_cost(module.loss) if isinstance(module, MetricModule) else None,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "git": git_state(Path.cwd()),
        "packages": {"metric_lightning": __version__} | {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": _device_name(trainer),
            "ranks": trainer.world_size,
        },
        "precision": str(trainer.precision),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def global_seed() -> int | None:
    """Return what `seed_everything` was given, or None."""
    seed = os.environ.get("PL_GLOBAL_SEED")
    return None if seed is None else int(seed)


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the folder's repository and which files differ from it; None without a repository or git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "changed_files": (_git(folder, "status", "--porcelain") or "").splitlines()}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.rstrip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device_name(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)

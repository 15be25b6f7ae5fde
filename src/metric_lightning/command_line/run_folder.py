"""Where a run's files are: lightning_logs/<experiment>/version_N."""

from pathlib import Path

from metric_lightning.checkpoints import newest_checkpoint
from metric_lightning.errors import UserError

LOGS = Path("lightning_logs")


def experiment_of(config_files: list[str]) -> str:
    """Name an experiment after the last config file, its folder before it where that lies in `experiments/`.

    Example:
        >>> experiment_of(["experiments/mnist5k/softmax.yaml"])
        'mnist5k/softmax'
        >>> experiment_of(["my.yaml"])
        'my'
        >>> experiment_of([])
        'default'
    """
    if not config_files:
        return "default"
    path = Path(config_files[-1])
    parts = path.with_suffix("").parts
    if "experiments" in parts[:-1]:
        return "/".join(parts[len(parts) - parts[::-1].index("experiments") :])
    return path.stem


def run_folder_of(checkpoint: Path) -> Path:
    """Return the run's folder of a checkpoint: that which holds its `checkpoints/`, else the checkpoint's own."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent


def version_of(checkpoint: Path, experiment: str) -> str | None:
    """Return "version_N" where a checkpoint belongs to a run of this experiment, to be gone on with in its folder."""
    folder = run_folder_of(checkpoint)
    return folder.name if folder.resolve().parent == (LOGS / experiment).resolve() else None


def last_checkpoint(experiment: str) -> Path:
    """Return the newest whole checkpoint of an experiment.

    Raises:
        UserError: there is none.
    """
    folder = LOGS / experiment
    found = newest_checkpoint(folder) if folder.is_dir() else None
    if found is None:
        raise UserError(f"--ckpt_path last: there is no whole checkpoint below {folder}; leave it out to start anew")
    return found

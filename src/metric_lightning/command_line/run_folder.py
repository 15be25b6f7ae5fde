"""Where a run's files are: lightning_logs/<experiment>/version_N."""

from pathlib import Path

from metric_lightning.checkpoints import newest_whole, read_checkpoint
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


def require_below_logs(experiment: object) -> None:
    """Refuse a name by which a run would land elsewhere than in `lightning_logs/`.

    Raises:
        UserError: it is one.
    """
    if not isinstance(experiment, str):
        return  # the parser says so
    path = Path(experiment)
    if path.is_absolute() or ".." in path.parts or not experiment.isprintable():
        raise UserError(
            f"--experiment {experiment!r} must name a folder below {LOGS}/, such as mine or mine/first; to keep runs "
            "elsewhere name a trainer.logger with its save_dir"
        )


def run_folder_of(checkpoint: Path) -> Path:
    """Return the run's folder of a checkpoint: that which holds its `checkpoints/`, else the checkpoint's own."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent


def version_of(checkpoint: Path, experiment: str) -> str | None:
    """Return "version_N" where a checkpoint belongs to a run of this experiment, to be gone on with in its folder."""
    folder = run_folder_of(checkpoint)
    return folder.name if folder.resolve().parent == (LOGS / experiment).resolve() else None


def last_checkpoint(experiment: str) -> Path:
    """Return the newest whole checkpoint of an experiment's own runs, not of those nested in its folder.

    Raises:
        UserError: there is none.
    """
    folder = LOGS / experiment
    found = newest_whole(folder.glob("version_*/checkpoints/*.ckpt"))
    if found is None:
        raise UserError(f"--ckpt_path last: there is no whole checkpoint below {folder}; leave it out to start anew")
    return found


def best_checkpoint(experiment: str) -> Path:
    """Return the best checkpoint of the experiment's newest run, as `BestCheckpoint` left it in the newest one.

    Raises:
        UserError: there is none, or its file is gone.
    """
    last = last_checkpoint(experiment)
    states = read_checkpoint(last).get("callbacks") or {}
    # A ModelCheckpoint of the user's own may have left its state too.
    named = next((state["best_model_path"] for name, state in states.items() if name.startswith("BestCheckpoint")), "")
    if not named:
        raise UserError(f"--ckpt_path best: {last} names no best checkpoint; give a file")
    best = last.parent / Path(named).name
    if not best.is_file():
        raise UserError(f"--ckpt_path best: {best} is gone; give a file, or take last, which is {last}")
    return best


def told(word: str, checkpoint: Path) -> str:
    """Return a line that says which checkpoint "last" or "best" is, and which newer versions have none."""
    version = run_folder_of(checkpoint)
    newer = [
        (number, path.name)
        for path in version.parent.glob("version_*")
        if (number := _number(path.name)) > _number(version.name)
        and newest_whole(path.glob("checkpoints/*.ckpt")) is None
    ]
    without = ", ".join(name for _, name in sorted(newer))
    step = read_checkpoint(checkpoint).get("global_step")
    line = f"--ckpt_path {word} is {checkpoint} ({version.name}, step {step})"
    return f"{line}; newer, but without a whole checkpoint: {without}" if without else line


def _number(version: str) -> int:
    number = version.removeprefix("version_")
    return int(number) if number.isdecimal() else -1

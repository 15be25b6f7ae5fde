"""What the comparison is asked to do."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.harness.run import Settings
from metric_lightning.errors import UserError

FIGURES = ("knn_accuracy", "map_at_r")


def parsed_options(arguments: Sequence[str], description: str) -> argparse.Namespace:
    """Return the command's options.

    Raises:
        UserError: a number below 1, or a setting of another form than KEY=VALUE.
    """
    parser = argparse.ArgumentParser("python -m experiments.compare", description=description, allow_abbrev=False)
    add = parser.add_argument
    add("configs", nargs="+", help="folders of experiments/ (mnist5k), or YAML files")
    add("--seeds", type=int, default=3, help="how many: 0, 1, ...")
    add("--name", help="of the folder in lightning_logs/compare/")
    add("--skip", nargs="*", default=[], help="methods to leave out")
    add("--against", help="method that the others are compared with; default: the best by MAP@R")
    add("--figures", nargs="+", default=list(FIGURES), help="test figures, a column each")
    add("--grid", action="append", default=[], help="KEY=VALUE,VALUE,...: choose by validation MAP@R, never test")
    add("--set", action="append", default=[], help="KEY=VALUE for all runs, as `fit --KEY=VALUE`")
    add("--jobs", type=int, default=1, help="runs at a time")
    add("--threads", type=int, help="threads of each run")
    add("--max_epochs", type=int, help="short for --set trainer.max_epochs=N")
    add("--limit", type=int, help="training batches an epoch, to try things out")
    options = parser.parse_args(arguments)
    for name in ("seeds", "jobs", "threads", "max_epochs", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} must be at least 1, got {value}")
    for setting in options.set:
        if "=" not in setting:
            raise UserError(f"--set {setting} is not of the form KEY=VALUE")
    options.name = options.name or _name_of(options.configs)
    return options


def shared_settings(options: argparse.Namespace) -> Settings:
    """Return what overrides all files."""
    settings = [tuple(setting.split("=", 1)) for setting in options.set]
    if options.max_epochs is not None:
        settings.append(("trainer.max_epochs", str(options.max_epochs)))
    if options.limit is not None:
        settings.append(("trainer.limit_train_batches", str(options.limit)))
    return tuple((key, value) for key, value in settings)


def _name_of(configs: Sequence[str]) -> str:
    """The folder's name where it is one; "selection" of anything else."""
    one = len(configs) == 1 and not Path(configs[0]).suffix
    return configs[0].strip("/").removeprefix("experiments/").replace("/", "_") if one else "selection"

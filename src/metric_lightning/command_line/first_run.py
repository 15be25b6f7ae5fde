"""`fit --data.root photos/` without a config: one is chosen, used, and once it is accepted told and written."""

import shlex
from pathlib import Path
from typing import NamedTuple

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from metric_lightning.command_line.first_config import Config, FirstConfig, first_config, write_first_config
from metric_lightning.command_line.parser import Scan
from metric_lightning.errors import UserError
from metric_lightning.printable import printable


class FirstRun(NamedTuple):
    """A run whose settings were chosen.

    Attributes:
        chosen: the settings.
        name: of the folder of pictures, and so of the experiment and the file.
        given: the other arguments of the command, which go before what was chosen.
    """

    chosen: FirstConfig
    name: str
    given: list[str]

    @property
    def arguments(self) -> list[str]:
        """What to parse."""
        return ["fit", "--config", yaml.safe_dump(self.chosen.config), f"--experiment={self.name}", *self.given]


def first_run(arguments: list[str]) -> FirstRun | None:
    """Return what `fit --data.root FOLDER` means; None where arguments name a config or the class of the data.

    Raises:
        UserError: the folder can't be trained on.
    """
    if arguments[:1] != ["fit"]:
        return None
    root, given = folder_alone(arguments[1:])
    if root is None:
        return None
    name = root.resolve().name.lstrip("-") or "photos"  # a name that begins so would be taken for an option
    return FirstRun(first_config(root), name, given)


class FirstConfigFile(Callback):
    """Writes the config of a first run as it was run, and tells of it, when training starts: all was accepted then.

    Args:
        run: what was chosen.
        config: that with what the command line has changed.
    """

    def __init__(self, run: FirstRun, config: Config):
        self.run, self.config = run, config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and tell, on the first rank."""
        if trainer.is_global_zero:
            reasons = list(self.run.chosen.reasons)
            if self.run.given:
                reasons.append(
                    f"given, and so put in place of what was chosen: {printable(shlex.join(self.run.given))}"
                )
            first = FirstConfig(self.config, reasons)
            print(told(first, write_first_config(first, self.run.name)), flush=True)


def as_run(chosen: Config, before: Config, after: Config) -> Config:
    """Return chosen settings with whatever the command line has changed.

    Args:
        chosen: a few settings.
        before: all settings that they parse to.
        after: all settings of the run.

    Example:
        >>> before, after = {"a": {"x": 1, "y": 0}, "b": 2, "c": 3}, {"a": {"x": 1, "y": 5}, "b": 2, "c": 3}
        >>> as_run({"a": {"x": 1}, "b": 2}, before, after)
        {'a': {'x': 1, 'y': 5}, 'b': 2}
    """
    if before.get("class_path") != after.get("class_path"):
        return after
    found: Config = {}
    for key in sorted(after, key=lambda key: key not in chosen):  # what was chosen comes first
        old, new = before.get(key), after[key]
        if key in before and old == new:
            found |= {key: chosen[key]} if key in chosen else {}
        elif isinstance(old, dict) and isinstance(new, dict):
            found[key] = as_run(chosen.get(key) or {}, old, new)
        else:
            found[key] = new
    return found


def folder_alone(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Return the folder of `--data.root` and the other arguments; None where something says what kind of data it is.

    Example:
        >>> folder_alone(["--data.root", "photos", "--trainer.max_epochs=3"])[1]
        ['--trainer.max_epochs=3']
        >>> folder_alone(["--data.root=photos", "--config", "my.yaml"])[0] is None
        True
    """
    scan = Scan()
    for name in ("--config", "-c", "--data", "--data.class_path", "--ckpt_path"):
        scan.add_argument(name, dest=name)
    scan.add_argument("--data.root", "--data.init_args.root", dest="root")
    given, rest = scan.parse_known_args(arguments)
    others = {name: value for name, value in vars(given).items() if name != "root" and value is not None}
    if given.root is None or others:
        return None, arguments
    if not given.root:
        raise UserError("--data.root is empty; give the folder of your pictures")
    return Path(given.root).expanduser(), rest


def told(first: FirstConfig, file: Path) -> str:
    """Return what to print of a config chosen for the user."""
    return "\n".join(
        [
            "No --config was given; these settings are chosen, because:",
            *(f"  - {reason}" for reason in first.reasons),
            f"They are in {printable(file)}: edit it, and run  metric-lightning fit --config {printable(file)}",
        ]
    )

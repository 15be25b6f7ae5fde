"""`fit --data.root photos/` without a config: one is written, told, and used."""

import os
from pathlib import Path

from metric_lightning.command_line.first_config import FirstConfig, first_config, write_first_config
from metric_lightning.command_line.parser import Scan
from metric_lightning.errors import UserError
from metric_lightning.printable import printable

_RANKS = ("LOCAL_RANK", "RANK", "SLURM_PROCID")


def with_first_config(arguments: list[str]) -> list[str]:
    """Return the arguments of `fit` with a config for `--data.root`, where they name neither config nor data class.

    Prints what was chosen and why. In a run of many processes the first one writes.

    Raises:
        UserError: the folder can't be trained on.
    """
    root, rest = folder_alone(arguments[1:])
    if arguments[0] != "fit" or root is None:
        return arguments
    first = first_config(root)
    if any(os.environ.get(name, "0") != "0" for name in _RANKS):
        return ["fit", "--config", first.text(), "--experiment", root.resolve().name, *rest]
    file = write_first_config(first, root)
    print(told(first, file))
    return ["fit", "--config", str(file), *rest]


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

"""What the command line adds to its arguments before they are parsed."""

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.utilities import rank_zero_only

from metric_lightning.checkpoints import read_checkpoint
from metric_lightning.command_line.config_files import read_config
from metric_lightning.command_line.parser import Scan
from metric_lightning.command_line.run_folder import best_checkpoint, experiment_of, last_checkpoint, told
from metric_lightning.command_line.saved_config import config_of
from metric_lightning.errors import UserError
from metric_lightning.printable import is_text, printable

_COMMANDS = ("fit", "validate", "test", "predict")


def completed(arguments: list[str]) -> list[str]:
    """Return the arguments with what they imply.

    - `--experiment`, the name of the run's folder, from the name of the config file;
    - `--ckpt_path last`, also in the config file, becomes the newest whole checkpoint of the experiment, and "best" the
      best of that run; which one that is is printed;
    - with `--ckpt_path FILE` and no `--config`, the configuration that the checkpoint holds: `test --ckpt_path FILE`
      is enough;
    - `--ckpt_path` and `--experiment` come last: a saved config names both, and would undo them wherever it stands.

    Raises:
        UserError: a config or the checkpoint can't be read.
    """
    if not arguments or arguments[0] not in _COMMANDS:
        return arguments
    scan = Scan()
    scan.add_argument("--config", "-c", action="append", default=[])
    scan.add_argument("--ckpt_path")
    scan.add_argument("--experiment")
    given, _ = scan.parse_known_args(arguments[1:])
    command, rest = arguments[0], arguments[1:]
    written: dict[str, Any] = {}
    for config in given.config:
        written |= read_config(config)
    named = given.experiment or written.get("experiment")
    experiment = named or experiment_of(given.config)
    checkpoint = given.ckpt_path or written.get("ckpt_path")
    if checkpoint in ("last", "best"):
        word, find = checkpoint, last_checkpoint if checkpoint == "last" else best_checkpoint
        checkpoint = str(find(experiment))
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            print(told(word, Path(checkpoint)), flush=True)
    added: list[str] = []
    if checkpoint and (Path(checkpoint).suffix == ".ckpt" or Path(checkpoint).exists()):
        read_checkpoint(checkpoint)
        if not given.config:
            config = config_of(checkpoint, evaluation=command != "fit")
            experiment = named or _experiment_of_checkpoint(checkpoint) or config.get("experiment") or experiment
            added += ["--config", yaml.safe_dump(config | {"experiment": experiment}, sort_keys=False)]
    if given.experiment is None:
        added = [f"--experiment={experiment}", *added]
    else:
        rest = [*rest, f"--experiment={experiment}"]
    return [command, *added, *rest, *(["--ckpt_path", checkpoint] if checkpoint else [])]


def require_text(arguments: list[str]) -> None:
    """Refuse arguments that no configuration can hold, names of folders that are no UTF-8 say.

    Raises:
        UserError: there are such.
    """
    strange = [argument for argument in arguments if not is_text(argument)]
    if strange:
        raise UserError(
            f"the argument {printable(strange[0])} is no UTF-8, and no configuration can name it: rename the folder or "
            "file (convmv -f latin1 -t utf8 does), or give a link to it"
        )


def _experiment_of_checkpoint(checkpoint: str) -> str | None:
    parts = Path(checkpoint).resolve().parts
    if "lightning_logs" not in parts or "checkpoints" not in parts:
        return None
    start = len(parts) - parts[::-1].index("lightning_logs")
    name = "/".join(parts[start : parts.index("checkpoints") - 1])
    return name or None

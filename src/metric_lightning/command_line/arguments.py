"""What the command line adds to its arguments before they are parsed."""

import argparse
from pathlib import Path

import yaml

from metric_lightning.checkpoints import read_checkpoint
from metric_lightning.command_line.first_run import with_first_config
from metric_lightning.command_line.run_folder import experiment_of, last_checkpoint
from metric_lightning.command_line.saved_config import config_of

_COMMANDS = ("fit", "validate", "test", "predict")


def completed(arguments: list[str]) -> list[str]:
    """Return the arguments with what they imply.

    - `fit --data.root FOLDER` alone is given a whole config;
    - `--experiment`, the name of the run's folder, from the name of the config file;
    - `--ckpt_path last` becomes the newest whole checkpoint of the experiment;
    - with `--ckpt_path FILE` and no `--config`, the configuration that the checkpoint holds: `test --ckpt_path FILE`
      is enough.

    Raises:
        UserError: the checkpoint can't be read.
    """
    if not arguments or arguments[0] not in _COMMANDS:
        return arguments
    arguments = with_first_config(arguments)
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scan.add_argument("--config", "-c", action="append", default=[])
    scan.add_argument("--ckpt_path")
    scan.add_argument("--experiment")
    given, _ = scan.parse_known_args(arguments[1:])
    command, rest = arguments[0], arguments[1:]
    added: list[str] = []
    experiment = given.experiment or experiment_of(given.config)
    if given.ckpt_path in ("last", "best") and command in _COMMANDS:
        checkpoint = str(last_checkpoint(experiment))
        rest = [*rest, "--ckpt_path", checkpoint]
    else:
        checkpoint = given.ckpt_path
    if checkpoint and Path(checkpoint).suffix == ".ckpt" or checkpoint and Path(checkpoint).exists():
        read_checkpoint(checkpoint)
        if not given.config:
            config = config_of(checkpoint)
            if command != "fit":
                config["trainer"] = _for_evaluation(config.get("trainer") or {})
            added += ["--config", yaml.safe_dump(config, sort_keys=False)]
            if given.experiment is None:
                experiment = _experiment_of_checkpoint(checkpoint) or experiment
    if given.experiment is None:
        added += ["--experiment", experiment]
    return [command, *added, *rest]


def _for_evaluation(trainer: dict[str, object]) -> dict[str, object]:
    """Keep of the trainer's settings what says where and how exactly it computes, not how it was trained."""
    return {name: trainer[name] for name in ("accelerator", "precision", "deterministic") if name in trainer}


def _experiment_of_checkpoint(checkpoint: str) -> str | None:
    parts = Path(checkpoint).resolve().parts
    if "lightning_logs" not in parts or "checkpoints" not in parts:
        return None
    start = len(parts) - parts[::-1].index("lightning_logs")
    name = "/".join(parts[start : parts.index("checkpoints") - 1])
    return name or None

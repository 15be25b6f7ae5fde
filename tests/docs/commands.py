"""Runs the commands that a page shows, as a reader would in a checkout, with few steps.

- The package's own commands run whole, but that a `fit` is cut to a few batches.
- What takes long, or another machine, is checked as far as it can be: the arguments of benchmarks and experiments are
  parsed, a torchrun's inner command is checked against the parser, a make target and an extra exist.
- Anything else fails: a page shows no command that the tests don't know.
"""

import argparse
import importlib.util
import inspect
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import yaml
from sybil import Example

from experiments.harness.options import parsed_options
from metric_lightning.cli import main

ROOT = Path(__file__).parents[2]
_SHORT = [
    *("--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1"),
    *("--trainer.limit_test_batches=1", "--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"),
    "--trainer.enable_model_summary=false",
]
# Names that a reader fills in.
_FILLED_IN = {"X.yaml": "experiments/mnist5k/softmax.yaml", "MY.yaml": "experiments/mnist5k/softmax.yaml"}


def run_commands(example: Example) -> None:
    """Run the commands of a block, one after the other."""
    for line in lines_of(str(example.parsed)):
        run_command(shlex.split(line, comments=True))


def lines_of(block: str) -> list[str]:
    """Return a block's commands: lines joined where they go on, comments and directives left out."""
    joined = re.sub(r"\\\n\s*", " ", block)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def run_command(words: list[str]) -> None:
    """Run one command, or check it as far as can be."""
    words = [_FILLED_IN.get(word, word) for word in words]
    while re.match(r"[A-Z_]+=", words[0]):  # a variable of the command's environment
        words = words[1:]
    words[0] = words[0].removeprefix(".venv/bin/")
    if words[:2] == ["python", "-m"]:
        run_module(words[2], words[3:])
    elif words[0] == "metric-lightning":
        own_command(words[1:])
    else:
        _OTHERS[words[0]](words[1:])


def run_module(module: str, arguments: list[str]) -> None:
    """Run, or check, `python -m module arguments`."""
    if module in ("metric_lightning.cli", "metric_lightning"):
        own_command(arguments)
    elif module == "experiments.compare":
        configs = parsed_options(arguments, "").configs
        assert all(Path("experiments", config).exists() or Path(config).exists() for config in configs), configs
    else:
        is_package = hasattr(importlib.import_module(module), "__path__")
        arguments_fit(importlib.import_module(f"{module}.__main__" if is_package else module), arguments)


class _Parsed(Exception):
    """The arguments are right; what would come now takes long."""


def arguments_fit(module: ModuleType, arguments: list[str]) -> None:
    """Let a command parse its arguments, and no more."""
    if "parse_args" not in inspect.getsource(module):
        assert not arguments and module.main
        return
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser, given: list[str] | None = None) -> None:
        parse(parser, given)
        raise _Parsed

    command = module.track if hasattr(module, "track") else module.main
    # An ellipsis stands for more of what is before it.
    arguments = [word for word in arguments if word != "..."]
    line = patch("sys.argv", [module.__name__, *arguments])
    with patch.object(argparse.ArgumentParser, "parse_args", only_parse), line:
        try:
            command(*([arguments] if inspect.signature(command).parameters else []))
        except _Parsed:
            return
        except SystemExit as end:
            raise AssertionError(f"{module.__name__} {shlex.join(arguments)}: status {end.code}") from end
    raise AssertionError(f"{module.__name__} did not parse its arguments")


def own_command(arguments: list[str]) -> None:
    """Run a command of the package; of a `fit` that needs other data or machines, check the configuration."""
    arguments = [_newest_checkpoint() if word == "PATH" else word for word in arguments]
    if arguments[0] == "fit" and "--print_config" not in arguments:
        arguments = [*arguments, *_SHORT] if _runs_anywhere(arguments) else [*arguments, "--print_config"]
        if "last" in arguments and not list(Path().glob("lightning_logs/**/last.ckpt")):
            place = arguments.index("last")
            own_command([*arguments[: place - 1], *arguments[place + 1 :]])
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code in (None, 0), f"{shlex.join(arguments)} ended with status {end.code}"


def _runs_anywhere(arguments: list[str]) -> bool:
    """Whether a run needs no data but those of installed packages or of its own, and no other machine."""
    named = [Path(word) for before, word in zip(arguments, arguments[1:], strict=False) if before == "--config"]
    configs = [yaml.safe_load(path.read_text()) for path in named]
    data = [path for config in configs if (path := (config.get("data") or {}).get("class_path"))]
    several = any("strategy" in (config.get("trainer") or {}) for config in configs)
    return not several and all(path.rpartition(".")[2] in ("MNIST5k", "Digits", "Shapes") for path in data)


def _newest_checkpoint() -> str:
    return str(max(Path("lightning_logs").rglob("*.ckpt"), key=lambda path: path.stat().st_mtime))


def _torchrun(arguments: list[str]) -> None:
    inner = arguments[arguments.index("-m") + 1 :]
    run_module(inner[0], [*inner[1:], "--print_config"])


def _sbatch(arguments: list[str]) -> None:
    assert (ROOT / arguments[0]).is_file(), arguments


def _srun(arguments: list[str]) -> None:
    run_module(arguments[2], [*arguments[3:], "--print_config"])


def _make(arguments: list[str]) -> None:
    target = arguments[0]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no make target {target}"


def _pip(arguments: list[str]) -> None:
    extras = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1]
    for named in re.findall(r"\[(.*?)\]", " ".join(arguments)):
        assert all(re.search(rf"^{extra} = \[", extras, re.MULTILINE) for extra in named.split(",")), arguments


def _copy(arguments: list[str]) -> None:
    assert (ROOT / arguments[-1]).parent.is_dir()


_OTHERS: dict[str, Callable[[list[str]], None]] = {
    "cd": lambda arguments: os.chdir(arguments[0]),
    "cp": _copy,
    "make": _make,
    "pip": _pip,
    "sbatch": _sbatch,
    "srun": _srun,
    "tensorboard": lambda arguments: None,  # serves until it is stopped; tests/callbacks asks it for what it shows
    "torchrun": _torchrun,
}

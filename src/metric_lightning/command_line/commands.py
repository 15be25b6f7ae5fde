"""Commands that need no Trainer, each a module with a function `main(arguments)`, imported when it is called."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from metric_lightning.command_line.parser import OneSentenceParser


class Command(NamedTuple):
    """What a command does, in a sentence, and the module that does it."""

    summary: str
    module: str


_HERE = "metric_lightning.command_line"
COMMANDS = {
    "export": Command(
        "Write a checkpoint's model as ONNX and torch.export, with its preprocessing and a model card.",
        f"{_HERE}.export_command",
    ),
    "index": Command(
        "Embed a folder of pictures by a checkpoint's model and build a search index of them.",
        f"{_HERE}.index_command",
    ),
    "search": Command(
        "Find the nearest pictures of an index, and write a page that shows them.", f"{_HERE}.search_command"
    ),
    "data": Command(
        "Show what the data are like, before any training: counts, problems, pictures.", f"{_HERE}.data_report"
    ),
    "report": Command(
        "Write one HTML page of one or several runs: settings, figures, curves, pictures.",
        f"{_HERE}.report_command",
    ),
}


def run_command(name: str, arguments: Sequence[str]) -> None:
    """Run one of `COMMANDS`."""
    importlib.import_module(COMMANDS[name].module).main(list(arguments))


def parsed(name: str, arguments: Sequence[str], add_arguments: Callable[[Any], None]) -> Any:
    """Return a command's settings; a wrong argument is one sentence and exit status 2."""
    parser = OneSentenceParser(prog=f"metric-lightning {name}", description=COMMANDS[name].summary)
    add_arguments(parser)
    return parser.parse_args(list(arguments))


def add_names(subcommands: Any) -> None:
    """Let a parser's help, and its hints at the nearest name, know the commands too."""
    for name, command in COMMANDS.items():
        subcommands.add_subcommand(name, OneSentenceParser(description=command.summary), help=command.summary)

"""The argument parser: an error is one sentence and exit status 2, not a page of usage."""

import argparse
import sys
from numbers import Number
from typing import Any, NoReturn

from jsonargparse.typing import register_type
from lightning.pytorch.cli import LightningArgumentParser

from metric_lightning.command_line.messages import one_sentence
from metric_lightning.errors import UserError
from metric_lightning.printable import printable


def _number(value: Any) -> Any:
    if not _is_number(value):
        raise ValueError(f"{value!r} is not a number")
    return value


def _is_number(value: Any, _type: type | None = None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# Transforms of torchvision ask for one (RandomAffine's degrees); unregistered, it would be lost from the saved config.
register_type(Number, serializer=_number, deserializer=_number, type_check=_is_number)


class OneSentenceParser(LightningArgumentParser):
    """A parser whose errors are one sentence. Option names must be written in full."""

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)

    def error(self, message: str, exception: Exception | None = None) -> NoReturn:
        """Say what is wrong in one sentence, and stop with status 2."""
        if not self.exit_on_error:  # a parser of a nested part: the outer one will say it, and where
            super().error(message, exception)
        print(f"error: {printable(one_sentence(str(message), _options_of(self)))}", file=sys.stderr)
        sys.exit(2)


class Scan(argparse.ArgumentParser):
    """Looks for a few options among others, with `parse_known_args`. Option names must be written in full."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one sentence.

        Raises:
            UserError: always.
        """
        raise UserError(message.removeprefix("argument "))


def _options_of(parser: argparse.ArgumentParser) -> list[str]:
    """Return the names of a parser's options and of those of its commands."""
    names = [name.lstrip("-") for action in parser._actions for name in action.option_strings]
    for action in parser._actions:
        for command in (getattr(action, "_name_parser_map", None) or {}).values():
            names += _options_of(command)
    return names

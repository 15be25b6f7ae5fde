"""The argument parser: an error is one sentence and exit status 2, not a page of usage."""

import sys
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from metric_lightning.command_line.messages import one_sentence


class OneSentenceParser(LightningArgumentParser):
    """A parser whose errors are one sentence. Option names must be written in full."""

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)

    def error(self, message: str, exception: Exception | None = None) -> NoReturn:
        """Say what is wrong in one sentence, and stop with status 2."""
        if not self.exit_on_error:  # a parser of a nested part: the outer one will say it, and where
            super().error(message, exception)
        options = [name.lstrip("-") for action in self._actions for name in action.option_strings]
        print(f"error: {one_sentence(str(message), options)}", file=sys.stderr)
        sys.exit(2)

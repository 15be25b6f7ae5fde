"""What a screen can't show is no reason to fail."""

import io
import sys


def spell_out_what_the_screen_lacks() -> None:
    """Let characters that the terminal's encoding lacks be printed as backslash escapes, and not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not so in a notebook
            stream.reconfigure(errors="backslashreplace")

"""Names as they may be shown: what would steer a terminal, ends a line or is no character is spelled out."""

import os


def printable(name: str | os.PathLike[str]) -> str:
    r"""Return a name of a file or class in one line of characters that every screen and file takes.

    Python keeps bytes of a file's name that are no UTF-8 as lone surrogates, which nothing can write; they are shown as
    the bytes they are.

    Example:
        >>> print(printable("Zoë\x1b[2J\n.png"), printable(b"caf\xe9.png".decode(errors="surrogateescape")))
        Zoë\x1b[2J\n.png caf\xe9.png
    """
    text = os.fspath(name)
    return text if text.isprintable() else "".join(map(_spelled, text))


def is_text(name: str | os.PathLike[str]) -> bool:
    r"""Whether a name is made of characters, which all files, tables and pages can hold.

    Example:
        >>> is_text("Zoë\n"), is_text(b"caf\xe9".decode(errors="surrogateescape"))
        (True, False)
    """
    return not any("\ud800" <= letter <= "\udfff" for letter in os.fspath(name))


def _spelled(letter: str) -> str:
    if letter.isprintable():
        return letter
    return f"\\x{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else repr(letter)[1:-1]

"""Which font has a letter: names of classes may be in any script, and matplotlib's own font has few of them."""

from collections.abc import Iterable
from functools import cache, lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

_BOXES = "Last Resort"  # a font that shows for every letter what script it is of
_MISSING = "\N{WHITE SQUARE}"


def drawable(text: str) -> str:
    r"""Return a text in which a square stands for every letter that no font of this machine has.

    Example:
        >>> drawable("Zoë"), drawable("a\U000FFFFD")
        ('Zoë', 'a□')
    """
    return "".join(letter if _own(letter) or _family_of(letter) else _MISSING for letter in text)


def give_fonts(figure: Figure) -> None:
    """Let every text of a figure find its letters in other fonts where its own hasn't them."""
    texts = figure.findobj(Text)
    families = _families(letter for text in texts for letter in text.get_text())
    if families:
        for text in texts:
            text.set_fontfamily([*text.get_fontfamily(), *families])


def _families(letters: Iterable[str]) -> list[str]:
    found = (_family_of(letter) for letter in dict.fromkeys(letters) if not _own(letter))
    return list(dict.fromkeys(family for family in found if family is not None))


def _own(letter: str) -> bool:
    return letter.isspace() or ord(letter) in _letters_of(findfont(FontProperties()))


@lru_cache(maxsize=4096)
def _family_of(letter: str) -> str | None:
    """Return the first family by name that has the letter, None where none has."""
    for font in sorted(fontManager.ttflist, key=lambda font: font.name):
        if not font.name.startswith(_BOXES) and ord(letter) in _letters_of(font.fname):
            return str(font.name)
    return None


@cache
def _letters_of(file: str) -> frozenset[int]:
    """Return the letters of a font that can be drawn at any size: none of one of pictures (emoji), or a broken one."""
    try:
        font = get_font(file)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()

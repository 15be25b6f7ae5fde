"""Names of files and classes are shown in one line, whatever bytes they hold."""

import io
import sys

import pytest

from metric_lightning.command_line.screen import spell_out_what_the_screen_lacks
from metric_lightning.plots.canvas import new_figure, pixels, plain
from metric_lightning.printable import is_text, printable

UGLY = b"a\xff\x1b[2J\r\n\x80\xc3\xa9.png".decode(errors="surrogateescape")


def test_a_name_is_one_line_that_can_be_written():
    shown = printable(UGLY)
    assert shown == r"a\xff\x1b[2J\r\n\x80é.png" and shown.isprintable() and shown.encode()
    assert printable("plain name ü 日本.png") == "plain name ü 日本.png"
    assert is_text("a\x1b\n") and not is_text(UGLY)


def test_a_figure_is_drawn_whatever_it_is_called():
    figure = new_figure(2, 1)
    figure.suptitle(plain(UGLY))
    assert pixels(figure).shape == (100, 200, 3)
    assert plain("two\nlines") == "two lines"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_screen_that_lacks_a_character_ends_no_command(encoding, monkeypatch):
    bytes_of = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_of, encoding=encoding, write_through=True))
    spell_out_what_the_screen_lacks()
    print("┃\udcff")
    assert bytes_of.getvalue() in ("┃\\udcff\n".encode(), b"\\u2503\\udcff\n")

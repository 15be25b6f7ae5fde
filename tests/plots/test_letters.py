"""Names in any script are drawn without a warning."""

import warnings

import numpy as np
import pytest
from matplotlib.font_manager import fontManager

from metric_lightning.plots import letters
from metric_lightning.plots.canvas import new_figure, pixels, plain


def drawn(text: str) -> np.ndarray:
    figure = new_figure(3, 2)
    axis = figure.add_subplot()
    axis.set_xticks([0], [plain(text)])
    axis.set_title(plain(text))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pixels(figure)


def test_a_letter_that_no_font_has_is_a_square(monkeypatch):
    monkeypatch.setattr(letters, "_family_of", lambda letter: None)
    assert plain("ab 猫\U0001f408") == "ab □□"
    assert np.array_equal(drawn("猫"), drawn("狗")) and not np.array_equal(drawn("猫"), drawn("a"))


def test_a_letter_of_another_font_is_drawn_with_it(monkeypatch):
    if "DejaVu Sans Mono" not in {font.name for font in fontManager.ttflist}:
        pytest.skip("matplotlib brings no second font")
    expected = drawn("a")
    # As if the font that is used by itself had no "ß".
    own = letters._own
    monkeypatch.setattr(letters, "_own", lambda letter: letter != "ß" and own(letter))
    monkeypatch.setattr(letters, "_family_of", lambda letter: "DejaVu Sans Mono")
    assert plain("ß") == "ß" and not np.array_equal(drawn("ß"), expected)
    figure = new_figure(1, 1)
    text = figure.text(0, 0, "ß")
    letters.give_fonts(figure)
    assert text.get_fontfamily()[1:] == ["DejaVu Sans Mono"]


def test_a_family_is_found_by_its_letters():
    letter = "∫"
    assert letters._family_of(letter) is not None and letters._family_of("\U000ffffd") is None

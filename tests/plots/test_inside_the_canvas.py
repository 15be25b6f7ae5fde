"""No text of any figure is cut off at the picture's edge, and none covers the title."""

from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from metric_lightning.plots import (
    Picture,
    Points,
    class_distances_figure,
    embedding_scatter,
    gallery_figure,
    learning_curves,
    pixels,
    tsne_figure,
    verification_figure,
)

LONG = "Hardest triplets by squared Euclidean distance, test set, after the test, and more of what a title may say"
NAMES = [f"a class with quite a long name, number {label}" for label in range(60)]
IMAGE = torch.zeros(3, 28, 28, dtype=torch.uint8)


def points(classes: int) -> Points:
    labels = torch.arange(240) % classes
    return Points(torch.randn(240, 2) + 20 * torch.randn(classes, 2)[labels], labels)


def gallery(columns: int) -> Figure:
    row = [Picture(IMAGE, f"{NAMES[0]} at 0.123", place > 0) for place in range(columns)]
    return gallery_figure([row] * 3, [f"nearest\n{place}" for place in range(columns)], LONG)


def distances() -> Figure:
    return verification_figure(1e-6 * torch.rand(400), torch.arange(400) % 4 == 0, LONG, "squared Euclidean", 1.0)


FIGURES: dict[str, Callable[[], Figure]] = {
    "scatter": lambda: embedding_scatter({"training set": points(12), "test set": points(12)}, NAMES, LONG),
    "scatter of one part": lambda: embedding_scatter({"training set": points(12)}, NAMES, LONG),
    "scatter of many classes": lambda: embedding_scatter({"training set": points(60)}, NAMES, LONG),
    "t-SNE": lambda: tsne_figure(None, points(12).positions, points(12).labels, NAMES, LONG),
    "class distances": lambda: class_distances_figure(40 * torch.rand(40, 40), NAMES, LONG),
    "distances of few classes": lambda: class_distances_figure(torch.rand(3, 3), NAMES, LONG),
    "gallery of one column": lambda: gallery(1),
    "gallery of three columns": lambda: gallery(3),
    "gallery of nine columns": lambda: gallery(9),
    "curves": lambda: learning_curves({"loss": {LONG[:60]: ([1, 2], [3.0, 4.0])}}, LONG),
    "distances": distances,
}


def outside(figure: Figure) -> list[str]:
    """Return the texts that are not wholly on the picture."""
    drawn: list[Text] = []  # a figure also has texts that it doesn't draw: of ticks beyond an axis's end
    draw = Text.draw
    with patch.object(Text, "draw", lambda text, *given: (drawn.append(text), draw(text, *given))[1]):
        pixels(figure)
    assert len(drawn) > 5
    canvas = figure.bbox
    found = []
    for text in drawn:
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent()
            if box.x0 < canvas.x0 - 1 or box.x1 > canvas.x1 + 1 or box.y0 < canvas.y0 - 1 or box.y1 > canvas.y1 + 1:
                found.append(text.get_text())
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_all_text_lies_inside_the_canvas(name):
    figure = FIGURES[name]()
    assert outside(figure) == []
    assert all(axis.get_window_extent().width > 60 for axis in figure.axes[:1]), "a place for the plot is left"


def test_captions_of_a_gallery_keep_to_their_picture():
    figure = gallery(3)
    pixels(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def test_a_turned_name_ends_at_its_column():
    figure = FIGURES["class distances"]()
    pixels(figure)
    axis = figure.axes[0]
    for place, label in enumerate(axis.get_xticklabels()):
        column = axis.transData.transform((place, 0))[0]
        assert abs(label.get_window_extent().x1 - column) < 12


def test_a_scatter_of_many_classes_says_that_colours_repeat():
    figure = FIGURES["scatter of many classes"]()
    assert "60 classes: colours repeat" in figure.get_suptitle().replace("\n", " ")
    pixels(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) > 5, "clouds apart have their names"
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])

"""Colours and markers of classes.

Ten colours that people with any common colour blindness tell apart (M. A. Petroff, Accessible Color Sequences for Data
Visualization, 2021), and seven markers. Neighbouring classes differ in both, and 70 classes in at least one.
"""

from typing import NamedTuple

COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Two kinds of anything, right and wrong say: blue and vermilion of Okabe and Ito.
BLUE, VERMILION = "#0072b2", "#d55e00"


class Look(NamedTuple):
    """How a class is drawn."""

    colour: str
    marker: str


def look(label: int) -> Look:
    """Return the look of a class; from class 70 on looks come again.

    Example:
        >>> look(3) == look(13), look(3).colour == look(13).colour
        (False, True)
    """
    return Look(COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)])

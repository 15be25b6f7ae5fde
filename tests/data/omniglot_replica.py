"""A few alphabets of scribbles, and one-shot trials of them, in the files of Omniglot."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_set(folder: Path, alphabets: dict[str, int], drawers: int = 20, first: int = 1) -> None:
    """Write `<alphabet>/<characterNN>/NNNN_MM.png`; the characters of a set are numbered on."""
    for alphabet, characters in alphabets.items():
        for character in range(1, characters + 1):
            below = folder / alphabet / f"character{character:02d}"
            below.mkdir(parents=True)
            for drawer in range(1, drawers + 1):
                scribble(first, drawer).save(below / f"{first:04d}_{drawer:02d}.png")
            first += 1


def write_trials(folder: Path, runs: int = 2, ways: int = 20) -> None:
    """Write runs whose item i shows the class ways - i."""
    for run in range(1, runs + 1):
        for below in ("training", "test"):
            (folder / f"run{run:02d}" / below).mkdir(parents=True)
        lines = []
        for place in range(1, ways + 1):
            scribble(100 * run + place, 1).save(folder / f"run{run:02d}/training/class{place:02d}.png")
            scribble(100 * run + ways + 1 - place, 2).save(folder / f"run{run:02d}/test/item{place:02d}.png")
            answer = f"run{run:02d}/training/class{ways + 1 - place:02d}.png"
            lines.append(f"run{run:02d}/test/item{place:02d}.png {answer}\n")
        (folder / f"run{run:02d}/class_labels.txt").write_text("".join(lines))


def scribble(character: int, drawer: int) -> Image.Image:
    """Black ink on white, 105x105, of one bit as the original: its strokes tell the character, a dot the drawer."""
    picture = np.full((105, 105), 255, np.uint8)
    strokes = np.random.default_rng(character)
    for row, column in strokes.integers(0, 80, (6, 2)):
        picture[row : row + 20, column : column + 4] = 0
    picture[104, drawer] = 0
    return Image.fromarray(picture).convert("1")

"""Real handwritten digits as picture files, a folder for each class."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def digit(number: int, side: int = 16) -> Image.Image:
    """Return a digit of scikit-learn's, grey, as large as asked for."""
    pixels = np.clip(load_digits().images[number] * 16, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)


def write_digits(
    root: Path, each: int = 12, classes: int = 4, side: int = 16, first: int = 0, names: list[str] = NAMES
) -> list[Path]:
    """Write `each` pictures of each of the first classes; return their paths, class by class.

    Args:
        first: how many pictures of each class to pass over.
    """
    labels = load_digits().target
    images = np.clip(load_digits().images * 16, 0, 255).astype(np.uint8)
    paths = []
    for label in range(classes):
        (root / names[label]).mkdir(parents=True, exist_ok=True)
        for number in np.flatnonzero(labels == label)[first : first + each]:
            paths.append(root / names[label] / f"{number:04d}.png")
            Image.fromarray(images[number]).resize((side, side), Image.Resampling.BILINEAR).save(paths[-1])
    return paths

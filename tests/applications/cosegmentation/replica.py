"""Small files: Pascal VOC's layout with coloured blocks."""

from pathlib import Path

import numpy as np
from PIL import Image

# Class number of VOC (from 1) -> colour of its blocks.
COLOURS = {1: (200, 30, 30), 3: (30, 200, 30), 8: (30, 30, 200)}


def write_voc(root: Path, photographs: int = 72) -> None:
    """Write VOCdevkit/VOC2012 with photographs of one or two blocks each: every third shows classes 1 and 3."""
    base = root / "VOCdevkit" / "VOC2012"
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (base / folder).mkdir(parents=True)
    for part, first in (("train", 0), ("val", photographs)):
        names = []
        for number in range(first, first + photographs):
            picture = np.full((40, 50, 3), 120, np.uint8)
            mask = np.zeros((40, 50), np.uint8)
            classes = [(1, 3), (8,), (3,)][number % 3]
            for place, each in enumerate(classes):
                window = (slice(5, 25), slice(5 + 22 * place, 20 + 22 * place))
                picture[window], mask[window] = COLOURS[each], each
            mask[30, :] = 255
            names.append(f"2012_{number:06d}")
            Image.fromarray(picture).save(base / "JPEGImages" / f"{names[-1]}.jpg", quality=95)
            Image.fromarray(mask).convert("P").save(base / "SegmentationClass" / f"{names[-1]}.png")
        (base / "ImageSets" / "Segmentation" / f"{part}.txt").write_text("\n".join(names) + "\n")

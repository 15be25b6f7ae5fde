"""A few random images in the files of large data sets."""

import struct
from pathlib import Path

import numpy as np

from metric_lightning.data.idx_files import IMAGES_AND_LABELS
from tests.data.omniglot_replica import write_set


def write_replica(folder: Path, per_class: int = 30) -> None:
    """Write the four IDX files of a data set of ten classes, and three alphabets of Omniglot."""
    write_set(folder / "omniglot-py/images_background", {"Greek": 4, "Latin": 4, "Tagalog": 8}, drawers=4)
    write_set(folder / "omniglot-py/images_evaluation", {"Oriya": 2}, drawers=2, first=90)
    random = np.random.default_rng(0)
    for names in IMAGES_AND_LABELS.values():
        labels = np.arange(10 * per_class, dtype=np.uint8) % 10
        images = random.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        for name, values in zip(names, (images, labels), strict=True):
            header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            (folder / name).write_bytes(header + values.tobytes())

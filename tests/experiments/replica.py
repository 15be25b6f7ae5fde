"""A few random images in the files of a large data set."""

import struct
from pathlib import Path

import numpy as np

from metric_lightning.data.idx_files import IMAGES_AND_LABELS


def write_replica(folder: Path, per_class: int = 30) -> None:
    """Write the four IDX files of a data set of ten classes."""
    random = np.random.default_rng(0)
    for names in IMAGES_AND_LABELS.values():
        labels = np.arange(10 * per_class, dtype=np.uint8) % 10
        images = random.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        for name, values in zip(names, (images, labels), strict=True):
            header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            (folder / name).write_bytes(header + values.tobytes())

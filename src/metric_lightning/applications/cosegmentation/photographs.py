"""Photographs that come with scikit-image and scikit-learn, to paste objects into."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn.functional import interpolate

from metric_lightning.errors import UserError

PHOTOGRAPHS = {
    "train": ("astronaut", "brick", "chelsea", "gravel", "motorcycle_left", "rocket", "flower"),
    "validation": ("immunohistochemistry", "motorcycle_right"),
    "test": ("china", "coffee", "grass", "camera"),
}
"""Of scikit-image, and two of scikit-learn; no photograph is in two parts (motorcycle_right is motorcycle_left's stereo
partner: it validates only)."""


def photograph(name: str, least: int) -> Tensor:
    """Return a photograph of scikit-image or scikit-learn (3, H, W) uint8, its shorter side scaled to `least` pixels.

    Raises:
        UserError: scikit-image isn't installed.
    """
    found = _pixels(name)
    if found.ndim == 2:
        found = np.repeat(found[..., None], 3, axis=2)
    picture = torch.from_numpy(found[..., :3].copy()).permute(2, 0, 1).float()[None]
    factor = least / min(picture.shape[2:])
    shape = [max(least, round(extent * factor)) for extent in picture.shape[2:]]
    return interpolate(picture, shape, mode="bilinear", antialias=True)[0].round().clamp(0, 255).to(torch.uint8)


def _pixels(name: str) -> NDArray[np.uint8]:
    if name in ("china", "flower"):
        samples = load_sample_images()
        names = [Path(file).stem for file in samples.filenames]
        return np.asarray(samples.images[names.index(name)], dtype=np.uint8)
    try:
        import skimage.data
        import skimage.io
    except ImportError as error:
        raise UserError('these pairs need scikit-image: pip install -e ".[cosegmentation]"') from error
    if name.startswith("motorcycle"):
        # By its file: the function of that name wants the disparities too, which scikit-image may have to download.
        return np.asarray(skimage.io.imread(Path(skimage.data.__file__).parent / f"{name}.png"), dtype=np.uint8)
    return np.asarray(getattr(skimage.data, name)(), dtype=np.uint8)

"""How a picture becomes an input of the network in evaluation, as plain data that travels with a checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, functional

from metric_lightning.data.pictures import plain_picture

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """Picture -> plain 8-bit picture -> scaled -> middle cut out -> (value / 255 - mean) / std, float32.

    A picture that has `size` already is neither scaled nor cut.

    Args:
        channels: 3 (RGB) or 1 (grey).
        size: (height, width) of an input, pixels.
        resize: pixels of the shorter side before the middle is cut out, at least `size`; None: scaled to `size`
            itself, whatever its shape was.
        mean: of each channel, on the scale 0..1.
        std: likewise, above 0.
        interpolation: "bilinear" or "bicubic", antialiased.
        invert: take 255 - value for value: for networks that know bright ink on dark, of pictures with dark ink.

    Raises:
        ValueError: a number out of its range.

    Example:
        >>> prepare = Preprocessing(3, (8, 8), 10, IMAGENET_MEAN, IMAGENET_STD)
        >>> prepare(Image.new("RGB", (40, 20), "white")).shape
        torch.Size([3, 8, 8])
        >>> Preprocessing.from_dict(prepare.as_dict()) == prepare
        True
    """

    channels: int
    size: tuple[int, int]
    resize: int | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    invert: bool = False

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.channels not in (1, 3):
            raise ValueError(f"a picture has 1 or 3 channels, got channels={self.channels}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be (height, width), each at least 1, got {self.size}")
        if self.resize is not None and self.resize < max(self.size):
            raise ValueError(f"size={max(self.size)} must be at least 1 and at most resize={self.resize}")
        if not {len(self.mean), len(self.std)} <= {1, self.channels} or min(self.std) <= 0:
            raise ValueError(
                f"mean and std must have 1 or {self.channels} numbers, std above 0, got {self.mean} and {self.std}"
            )
        if self.interpolation not in _MODES:
            raise ValueError(f"interpolation must be one of {', '.join(_MODES)}, got {self.interpolation!r}")

    def __call__(self, image: Image.Image) -> Tensor:
        """Return a picture as an input (channels, height, width), float32."""
        return self.normalised(self.pixels(image))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one input, (channels, height, width)."""
        return self.channels, *self.size

    def pixels(self, image: Image.Image) -> Tensor:
        """Return a picture as 8-bit pixels (channels, height, width), all but normalised."""
        return self.fitted(functional.pil_to_tensor(plain_picture(image, self.channels)))

    def fitted(self, picture: Tensor) -> Tensor:
        """Return a picture (channels, any height, any width) of any type scaled and cut to `size`."""
        if tuple(picture.shape[-2:]) == self.size:
            return picture
        if self.resize is None:
            return self._scaled(picture, list(self.size))
        return functional.center_crop(self.scaled(picture), list(self.size))

    def normalised(self, pictures: Tensor) -> Tensor:
        """Return pictures (..., channels, height, width) as the network wants them.

        Args:
            pictures: 8-bit, or already scaled to 0..1 (as a transform ToDtype with scale does).
        """
        scaled = pictures.float() / 255 if pictures.dtype == torch.uint8 else pictures
        mean, std = (torch.tensor(values, device=scaled.device).view(-1, 1, 1) for values in (self.mean, self.std))
        return ((1 - scaled if self.invert else scaled) - mean) / std

    def shown(self, inputs: Tensor) -> Tensor:
        """Return inputs (n, channels, height, width) as 8-bit pictures again."""
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        scaled = inputs.cpu().float() * std + mean
        return ((1 - scaled if self.invert else scaled) * 255).round().clamp(0, 255).to(torch.uint8)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: numbers, texts and lists, as JSON and YAML have them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Preprocessing":
        """Return what `as_dict` described."""
        return cls(**description)

    def scaled(self, picture: Tensor) -> Tensor:
        """Return a picture whose shorter side has `resize` pixels."""
        return self._scaled(picture, [self.resize or max(self.size)])

    def _scaled(self, picture: Tensor, size: list[int]) -> Tensor:
        return functional.resize(picture, size, _MODES[self.interpolation], antialias=True)

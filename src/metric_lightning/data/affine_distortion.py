"""Random affine distortions, each of their parts with a probability of its own."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from torchvision import tv_tensors
from torchvision.transforms.v2 import Transform
from torchvision.tv_tensors import KeyPoints


class AffineDistortion(Transform):
    """Turns, shears, scales and shifts an image about its centre, as Koch et al. 2015 distort Omniglot.

    The distortion is (rotation, shear x, shear y, scale x, scale y, shift x, shift y): each of the seven is drawn
    uniformly from its range with probability `probability`, and left out otherwise; in that order they are applied, the
    rotation last but for the shift. Between pixels values are interpolated; what comes in from outside is 0.

    Args:
        rotation: degrees, to either side.
        shear: to either side; 0.3 moves a point by 0.3 of its distance from the axis.
        scale: (least, largest) factor.
        shift: pixels, to either side.
        probability: of each of the seven.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> image = torch.zeros(1, 5, 5).byte()
        >>> image[0, 2, 2] = 255
        >>> AffineDistortion(shift=0)(image)[0, 2, 2]  # the centre stays
        tensor(255, dtype=torch.uint8)
    """

    def __init__(
        self,
        rotation: float = 10.0,
        shear: float = 0.3,
        scale: tuple[float, float] = (0.8, 1.2),
        shift: float = 2.0,
        probability: float = 0.5,
    ):
        super().__init__()
        for name, value in (("rotation", rotation), ("shear", shear), ("shift", shift)):
            if not 0 <= value < math.inf:
                raise ValueError(f"AffineDistortion: {name} must be at least 0, got {value}")
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] < math.inf:
            raise ValueError(f"AffineDistortion: scale must be (least, largest), both above 0, got {scale}")
        if not 0 <= probability <= 1:
            raise ValueError(f"AffineDistortion: probability must lie in [0, 1], got {probability}")
        self.rotation, self.shear, self.shift = float(rotation), float(shear), float(shift)
        self.scale = (float(scale[0]), float(scale[1]))
        self.probability = float(probability)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw one distortion: where from the centre a point goes, (xx, xy, yx, yy), and its shift (x, y)."""
        low = torch.tensor([-self.rotation, -self.shear, -self.shear, *[self.scale[0]] * 2, *[-self.shift] * 2])
        high = torch.tensor([self.rotation, self.shear, self.shear, *[self.scale[1]] * 2, *[self.shift] * 2])
        drawn = low + (high - low) * torch.rand(7)
        left_out = torch.rand(7) >= self.probability
        values = torch.where(left_out, torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]), drawn).tolist()
        angle, shear_x, shear_y, scale_x, scale_y, shift_x, shift_y = values
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        return {
            "forwards": (
                (cosine - sine * shear_y) * scale_x,
                (cosine * shear_x - sine) * scale_y,
                (sine + cosine * shear_y) * scale_x,
                (sine * shear_x + cosine) * scale_y,
            ),
            "shift": (shift_x, shift_y),
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return the distorted image (..., H, W), of the same type, or `KeyPoints`; what is no tensor stays."""
        if not isinstance(inpt, Tensor):
            return inpt
        (xx, xy, yx, yy), (shift_x, shift_y) = params["forwards"], params["shift"]
        if isinstance(inpt, KeyPoints):
            centre = torch.tensor(inpt.canvas_size).flip(0) / 2
            moved = (inpt.as_subclass(Tensor) - centre) @ torch.tensor([[xx, yx], [xy, yy]])
            return tv_tensors.wrap(moved + centre + torch.tensor([shift_x, shift_y]), like=inpt)
        height, width = inpt.shape[-2:]
        size = xx * yy - xy * yx
        # Backwards; and affine_grid counts from the centre in units of half the width and half the height.
        xx, xy, yx, yy = yy / size, -xy / size * height / width, -yx / size * width / height, xx / size
        left, up = 2 * shift_x / width, 2 * shift_y / height
        matrix = torch.tensor([[[xx, xy, -(xx * left + xy * up)], [yx, yy, -(yx * left + yy * up)]]])
        images = inpt.reshape(1, -1, height, width).float()
        grid = affine_grid(matrix, list(images.shape), align_corners=False)
        found = grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        found = found.reshape(inpt.shape)
        return found if inpt.is_floating_point() else found.round_().to(inpt.dtype)

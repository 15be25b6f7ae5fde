"""In evaluation, the mean embedding of several views of an image."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from metric_lightning.networks.base import EmbeddingNetwork, image_shape


class AveragedViews(EmbeddingNetwork):
    """Embeds an image in evaluation as the mean of the embeddings of its views: turned, scaled and shifted a little.

    In training the network sees images as they come, once. In evaluation, prediction and after export each image is
    embedded once a view, so that embedding takes as many times longer, and the mean is scaled to unit length where the
    network's embeddings are. A network that is to tell few samples apart, one-shot say, gains most by it.

    There is a view for each rotation with each scale and each shift. Between pixels values are interpolated; what comes
    in from outside is the nearest pixel of the border.

    Args:
        network: embeds one image.
        rotations: degrees, anticlockwise.
        scales: factors of the size.
        shifts: pixels to the right and down; each way is combined with each other way.
        input_shape: (channels, height, width) of one image; None: taken from the data by the module.

    Shape:
        (n, channels, height, width) to (n, embedding_dim).

    Raises:
        ValueError: no rotation, scale or shift, one that isn't finite, or a scale of at most 0.

    References:
        Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks (NeurIPS 2012),
        section 4.1, averages the predictions of ten views.

    Example:
        >>> from metric_lightning.networks import EmbeddingNet
        >>> network = AveragedViews(EmbeddingNet(8), rotations=[-10, 0, 10], input_shape=(1, 28, 28)).eval()
        >>> len(network.layers.grids), network(torch.zeros(5, 1, 28, 28)).shape
        (3, torch.Size([5, 8]))
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        rotations: Sequence[float] = (0.0,),
        scales: Sequence[float] = (1.0,),
        shifts: Sequence[float] = (0.0,),
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(network.embedding_dim, network.normalize)
        for name, values in (("rotations", rotations), ("scales", scales), ("shifts", shifts)):
            if not values or not all(math.isfinite(value) for value in values):
                raise ValueError(f"AveragedViews: {name} must be one or more finite numbers, got {list(values)}")
        if min(scales) <= 0:
            raise ValueError(f"AveragedViews: scales must be above 0, got {list(scales)}")
        self.views = list(itertools.product(rotations, scales, shifts, shifts))
        self._network = (network,)  # its parameters are there after `build` only, under `layers`
        if input_shape is not None:
            self.build(input_shape)

    @property
    def embedding_dim(self) -> int:
        """Number of components of an embedding: that of the network."""
        return self._network[0].embedding_dim

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the network, built for the shape of an image, with its views."""
        _, height, width = image_shape(self, input_shape)
        self._network[0].build(input_shape)
        return _Mean(self._network[0], torch.stack([_grid(*view, height, width) for view in self.views]))

    def learning_rates(self) -> list[tuple[float, list[nn.Parameter]]]:
        """Return those of the network."""
        return self._network[0].learning_rates()


class _Mean(nn.Module):
    grids: Tensor

    def __init__(self, network: nn.Module, grids: Tensor):
        super().__init__()
        self.network = network
        self.register_buffer("grids", grids, persistent=False)

    def forward(self, images: Tensor) -> Any:
        if self.training:
            return self.network(images)
        return torch.stack([self.network(_seen(images, grid)) for grid in self.grids]).mean(0)


def _seen(images: Tensor, grid: Tensor) -> Tensor:
    """Return the view (n, channels, height, width) of images through a grid (height, width, 2)."""
    places = grid.to(images.dtype).expand(images.shape[0], -1, -1, -1)
    return grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)


def _grid(rotation: float, scale: float, right: float, down: float, height: int, width: int) -> Tensor:
    """Return (height, width, 2): where in the image each pixel of the view lies, in halves of its width and height."""
    cosine, sine = math.cos(math.radians(rotation)) / scale, math.sin(math.radians(rotation)) / scale
    # From the view back to the image, in pixels; y goes down, so that this turns anticlockwise as one sees it.
    turn = torch.tensor([[cosine, -sine * height / width], [sine * width / height, cosine]])
    moved = turn @ torch.tensor([[2 * right / width], [2 * down / height]])
    return affine_grid(torch.cat([turn, -moved], 1)[None], [1, 1, height, width], align_corners=False)[0]

"""The mutual correlation layer: every place of one image against the places of the other, sorted by displacement.

n pairs of feature maps with C channels of height h and width w; D displacements along each axis.
"""

import torch
from torch import Tensor, nn

from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.parts import Part


def displacements(height: int, width: int) -> int:
    """Return D = 2 max(w, h) - 1, the number of displacements along an axis that makes any place reach any other.

    Example:
        >>> displacements(8, 6)
        15
    """
    return 2 * max(height, width) - 1


def mutual_correlation(first: Tensor, second: Tensor, reach: int | None = None) -> tuple[Tensor, Tensor]:
    """Return how alike each place of either feature map is to the places of the other.

        c_AB(i, j, k) = <f_A(i, j), f_B(m, n)>    k = (m - i + R) D + (n - j + R),  |m - i| <= R,  |n - j| <= R
        c_BA(i, j, k) = <f_B(i, j), f_A(m, n)>    likewise

    with D = 2 R + 1, and 0 where (m, n) lies outside of the map. R = max(w, h) - 1 gives all displacements. All
    products are made once, by one matrix product, and serve both.

    Args:
        first: f_A, (n, C, h, w).
        second: f_B, (n, C, h, w).
        reach: R, in places; None: all displacements.

    Returns:
        c_AB and c_BA, each (n, D^2, h, w).

    Raises:
        ValueError: the maps differ in shape, or `reach` is negative.

    References:
        W. Li, O. Hosseini Jafari, C. Rother: Deep Object Co-Segmentation (ACCV 2018), https://arxiv.org/abs/1804.06423

    Example:
        >>> one, other = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 5.0]]]])
        >>> mutual_correlation(one, other)[0][0, 3:6, 0]       # one row: displacements -1, 0, 1 along it
        tensor([[ 0.,  6.],
                [ 3., 10.],
                [ 5.,  0.]])
    """
    if reach is not None and reach < 0:
        raise ValueError(f"reach must be at least 0 or None, got {reach}")
    products = place_products(first, second)
    forth, back = (_by_displacement(each, first.shape[2:], reach) for each in (products, products.transpose(1, 2)))
    return forth, back


def strongest_match(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return how alike each place of either feature map is to the one place of the other that is most like it.

        s_AB(i, j) = max over m, n of <f_A(i, j), f_B(m, n)>        s_BA likewise

    Wherever in the other image it is: what both images show is told from what one of them shows without knowing at
    which displacement to look.

    Args:
        first: f_A, (n, C, h, w).
        second: f_B, (n, C, h, w).

    Returns:
        s_AB and s_BA, each (n, 1, h, w).

    Raises:
        ValueError: the maps differ in shape.

    Example:
        >>> one, other = torch.tensor([[[[1.0, -2.0]]]]), torch.tensor([[[[3.0, 5.0]]]])
        >>> strongest_match(one, other)[0].flatten()
        tensor([ 5., -6.])
    """
    products = place_products(first, second)
    forth, back = (products.amax(axis)[:, None].unflatten(2, first.shape[2:]) for axis in (2, 1))
    return forth, back


def place_products(first: Tensor, second: Tensor) -> Tensor:
    """Return <f_A(i, j), f_B(m, n)> of all places of two feature maps (n, C, h, w), as (n, h w, h w).

    Raises:
        ValueError: the maps differ in shape.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(
            f"feature maps must both be (n, C, h, w) of one shape, got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    return first.flatten(2).transpose(1, 2) @ second.flatten(2)


def _by_displacement(products: Tensor, size: torch.Size, reach: int | None) -> Tensor:
    """Sort (n, h w, h w) products of places into (n, D^2, h, w)."""
    height, width = size
    if reach is None:
        reach = max(size) - 1
    steps = torch.arange(-reach, reach + 1, device=products.device)
    rows = torch.arange(height, device=products.device)[:, None] + steps  # (h, D): the row m of each displacement
    columns = torch.arange(width, device=products.device)[:, None] + steps
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[None, :, None, :]
    place = rows.clamp(0, height - 1)[:, None, :, None] * width + columns.clamp(0, width - 1)[None, :, None, :]
    chosen = place.flatten(2).flatten(0, 1).expand(len(products), -1, -1)
    found = products.gather(2, chosen).masked_fill(~inside.flatten(2).flatten(0, 1), 0)
    return found.transpose(1, 2).unflatten(2, (height, width))


class MutualCorrelation(Part, nn.Module):
    """`mutual_correlation` as a layer.

    Args:
        reach: displacements up to so many places along each axis; None: all.
        normalize: take cosines instead of products: features of unit length. The paper's definition is the product;
            a small network trained from scratch is steadier with cosines.
        strongest: give `strongest_match` as a further channel, the last.

    Shape:
        twice (n, C, h, w) to twice (n, D^2, h, w), or (n, D^2 + 1, h, w) with the strongest match.

    Example:
        >>> one, other = MutualCorrelation()(torch.randn(2, 16, 4, 3), torch.randn(2, 16, 4, 3))
        >>> one.shape
        torch.Size([2, 49, 4, 3])
    """

    def __init__(self, reach: int | None = None, normalize: bool = False, strongest: bool = False):
        super().__init__()
        if reach is not None and reach < 0:
            raise ValueError(f"MutualCorrelation: reach must be at least 0 or None, got {reach}")
        self.reach, self.normalize, self.strongest = reach, normalize, strongest

    def channels(self, height: int, width: int) -> int:
        """Return how many channels come of feature maps of this size."""
        span = displacements(height, width) if self.reach is None else 2 * self.reach + 1
        return span**2 + self.strongest

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return c_AB and c_BA."""
        if self.normalize:
            first, second = _unit_places(first), _unit_places(second)
        forth, back = mutual_correlation(first, second, self.reach)
        if self.strongest:
            best_forth, best_back = strongest_match(first, second)
            forth, back = torch.cat([forth, best_forth], 1), torch.cat([back, best_back], 1)
        return forth, back


def _unit_places(features: Tensor) -> Tensor:
    shape = features.shape
    rows = features.permute(0, 2, 3, 1).flatten(0, 2)
    return unit_rows(rows).unflatten(0, (shape[0], *shape[2:])).permute(0, 3, 1, 2)

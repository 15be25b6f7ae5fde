"""Weighted city-block distances whose weights are learned, any sign, in bounded memory.

x: (N, D), y: (M, D), w: (D,), result: (N, M). No matrix product gives them, so it goes through all N M D differences: a
tile of some components, rows and columns at a time, which stays in the cache and is worked on in place. On a CPU a
batch beside itself goes through each pair once, by torch.pdist.
"""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only
from metric_lightning.functional.precision import without_autocast

_TILE_ELEMENTS = {"cpu": 2**17}  # 512 KiB in float32
_TILE_ROWS = {"cpu": 32}
_MIRRORED = 64  # rows and columns that are turned over at a time


@without_autocast
def weighted_l1_distances(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return sum_d w_d |x_id - y_jd|; where two components are equal, their gradient is 0.

    O(N M D) elementwise work, half of it on a CPU where y is x itself; memory is O(N M) beside what it is given.

    Args:
        x: (N, D).
        y: (M, D).
        weight: (D,), of any sign.

    Raises:
        ValueError: shapes that don't go together.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, -4.0]])
        >>> weighted_l1_distances(x, y, torch.tensor([1.0, 0.5]))
        tensor([[5.]])
    """
    if not x.shape[1:] == y.shape[1:] == weight.shape:
        raise ValueError(f"x {tuple(x.shape)}, y {tuple(y.shape)}, weight {tuple(weight.shape)}: (N, D), (M, D), (D,)")
    result: Tensor = _WeightedL1.apply(x, y, weight.to(x.dtype))
    return result


class _WeightedL1(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        # torch.pdist goes through each pair once; on a GPU its gradient takes N N D memory.
        ctx.one = y is x and x.device.type == "cpu" and len(x) > 0
        ctx.save_for_backward(x, y, weight)
        return _distances_within(x, weight) if ctx.one else _sums(x.T.contiguous(), y.T.contiguous(), weight)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y, weight = ctx.saved_tensors
        turned = gradient.T.contiguous()
        # |x - y| = (x - y) sign(x - y), so what pulls x and y gives the weights' gradient too. As pulls cancel, what
        # x and y have in common may be taken off.
        if ctx.one:
            pulls = _signs_within(x, turned.add_(gradient))
            return pulls * weight, None, torch.linalg.vecdot(x - x.mean(dim=0), pulls, dim=0)
        across, down = x.T.contiguous(), y.T.contiguous()
        to_x, to_y = _sums_of_signs(across, down, gradient), _sums_of_signs(down, across, turned)
        centre = y.sum(dim=0) / max(1, len(y))
        to_weight = torch.linalg.vecdot(x - centre, to_x, dim=0) + torch.linalg.vecdot(y - centre, to_y, dim=0)
        return to_x * weight, to_y * weight, to_weight


def _distances_within(x: Tensor, weight: Tensor) -> Tensor:
    """Return sum_d w_d |x_id - x_jd| (N, N)."""
    scaled, less = x * weight, weight < 0
    if less.any():
        condensed = torch.pdist(scaled[:, ~less], p=1).sub_(torch.pdist(scaled[:, less], p=1))
    else:
        condensed = torch.pdist(scaled, p=1)
    distances = x.new_zeros(len(x), len(x))
    above = _above_diagonal(distances)
    torch.split_with_sizes_copy(condensed, [len(row) for row in above], out=above)
    for start in range(0, len(x), _MIRRORED):
        rows, rest = slice(start, start + _MIRRORED), slice(start + _MIRRORED, None)
        distances[rows, rows] += distances[rows, rows].T.clone()
        distances[rest, rows] = distances[rows, rest].T
    return distances


def _signs_within(x: Tensor, slopes: Tensor) -> Tensor:
    """Return sum_j s_ij sign(x_i - x_j) (N, D) of slopes (N, N) that are the same both ways."""
    condensed = torch.cat(_above_diagonal(slopes))
    # p = 1 needs no distances.
    pulls: Tensor = torch.ops.aten._pdist_backward(condensed, x.contiguous(), 1.0, condensed)
    return pulls


def _above_diagonal(square: Tensor) -> list[Tensor]:
    """Return what is right of the diagonal of a contiguous (N, N), row by row, as views: N - 1, N - 2, ..., 0 long."""
    n = len(square)
    lengths = [length for row in range(n) for length in (row + 1, n - 1 - row)]
    return list(square.view(-1).split(lengths)[1::2])


def _sums(across: Tensor, down: Tensor, weight: Tensor) -> Tensor:
    """Return sum_d w_d |x_id - y_jd| (N, M) of `across` (D, N) and `down` (D, M)."""
    distances = across.new_empty(across.shape[1], down.shape[1])
    for rows, block in zip(across[:, :, None].split(_rows(down), dim=1), distances.split(_rows(down)), strict=True):
        sums = across.new_zeros(block.numel())
        step = _step(down.device, block.numel())
        for left, right, part in zip(rows.split(step), down[:, None].split(step), weight.split(step), strict=True):
            sums.addmv_((left - right).abs_().flatten(1).T, part)
        block.copy_(sums.view_as(block))
    return distances


def _sums_of_signs(across: Tensor, down: Tensor, slopes: Tensor) -> Tensor:
    """Return sum_j s_ij sign(x_i - y_j) (N, D) of `across` (D, N), `down` (D, M) and slopes (N, M)."""
    step = _step(down.device, down.shape[1])
    sums = across.new_empty(*across.T.shape, 1)
    for x, y, to_x in zip(
        across.T[:, :, None].split(step, dim=1), down.split(step), sums.split(step, dim=1), strict=True
    ):
        rows = _step(down.device, y.numel())
        memory = y.new_empty(min(rows, len(x)), *y.shape)
        for left, slope, block in zip(x.split(rows), slopes[:, :, None].split(rows), to_x.split(rows), strict=True):
            torch.bmm(torch.sub(left, y, out=memory[: len(left)]).sign_(), slope, out=block)
    return sums.squeeze(2)


def _rows(down: Tensor) -> int:
    return max(1, min(_TILE_ROWS.get(down.device.type, 128), _step(down.device, down.shape[1])))


def _step(device: torch.device, elements: int) -> int:
    """Return how many times so many elements make a tile."""
    return max(1, _TILE_ELEMENTS.get(device.type, 2**24) // max(1, elements))

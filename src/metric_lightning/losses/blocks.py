"""Row blocks: a batch loss with O(block x M) memory, value and gradient the same as of the whole.

A sum over anchors can be taken a block of rows at a time. Its gradient too, at once: within the forward pass each block
is differentiated and forgotten, which leaves the gradients of the totals, (N, D) + (M, D) for each part of the loss,
to be scaled in the backward pass. Small blocks also stay in the processor's cache, which makes large batches faster.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only
from metric_lightning.functional.precision import autocast_off, both_full_precision
from metric_lightning.miners.base import Miner
from metric_lightning.types import Ratio

Block = Callable[[Tensor, Tensor, int], dict[str, Ratio]]

_BLOCK_ELEMENTS = {"cpu": 2**20}
_LEAST_ROWS = 128


def sum_over_blocks(
    block: Block, x: Tensor, y: Tensor, parameters: Sequence[Tensor], block_size: int | None
) -> dict[str, Ratio]:
    """Sum the anchors' shares that `block` gives for rows of x, in float32 or better.

    Args:
        block: (rows of x, y, number of the first row) -> shares of (rows,) for each part.
        x: (N, D) anchors.
        y: (M, D) references; may be x itself.
        parameters: what else `block` depends on, to be differentiated.
        block_size: rows at a time; None: chosen for the cache.
    """
    with autocast_off(x.device):
        x, y = both_full_precision(x, y)
        rows = automatic_block_size(len(y), x.device.type) if block_size is None else block_size
        if rows >= len(x):
            return {name: Ratio(part.total.sum(), part.count.sum()) for name, part in block(x, y, 0).items()}
        if not torch.is_grad_enabled():
            return _plain_sums(block, x, y, rows)
        trained = tuple(p for p in parameters if p.requires_grad)
        names: list[str] = []
        sums = _BlockSums.apply(block, rows, names, x, y, *trained)
        return {name: Ratio(sums[0][k], sums[1][k]) for k, name in enumerate(names)}


def check_block_size(owner: object, block_size: int | None, miner: Miner | None = None) -> None:
    """Raise ValueError where a block has no rows, or the miner needs all rows at once."""
    if block_size is None:
        return
    name = type(owner).__name__
    if block_size < 1:
        raise ValueError(f"{name}: block_size must be at least 1 or None, got {block_size}")
    if miner is not None and not miner.row_wise:
        raise ValueError(
            f"{name}: block_size is {block_size}, but {type(miner).__name__} chooses over the whole batch at once; "
            "leave block_size out, or take another miner"
        )


def automatic_block_size(columns: int, device_type: str) -> int:
    """Return how many rows keep a block small, yet not so few that the work on the columns is done over and over."""
    return max(_LEAST_ROWS, _BLOCK_ELEMENTS.get(device_type, 2**26) // max(1, columns))


def _plain_sums(block: Block, x: Tensor, y: Tensor, rows: int) -> dict[str, Ratio]:
    sums: dict[str, Ratio] = {}
    for start in range(0, len(x), rows):
        for name, part in block(x[start : start + rows], y, start).items():
            total, count = sums.get(name, Ratio(x.new_zeros(()), x.new_zeros(())))
            sums[name] = Ratio(total + part.total.sum(), count + part.count.sum())
    return sums


class _BlockSums(torch.autograd.Function):
    """Totals (parts,) and counts (parts,), with the gradients of the totals taken block by block in the forward."""

    @staticmethod
    def forward(ctx: Any, block: Block, rows: int, names: list[str], x: Tensor, y: Tensor, *parameters: Tensor) -> Any:
        needs = ctx.needs_input_grad[3:]
        leaves = [leaf.detach().requires_grad_(need) for leaf, need in zip((x, y), needs, strict=False)]
        leaves += list(parameters)
        totals: list[Tensor] = []
        counts: list[Tensor] = []
        gradients: list[list[Tensor | None]] = []
        for start in range(0, len(x), rows):
            with torch.set_grad_enabled(any(needs)):
                # A view of the leaf would make autograd write N x D zeros for every block: cut the block off first.
                piece = leaves[0].detach()[start : start + rows].requires_grad_(needs[0])
                shares = block(piece, leaves[1], start)
                terms = {name: Ratio(part.total.sum(), part.count.sum()) for name, part in shares.items()}
            if not totals:
                names.extend(terms)
                totals = [x.new_zeros(()) for _ in names]
                counts = [x.new_zeros(()) for _ in names]
                gradients = [
                    [torch.zeros_like(leaf) if need else None for leaf, need in zip(leaves, needs, strict=True)]
                    for _ in names
                ]
            for k, part in enumerate(terms.values()):
                totals[k] += part.total.detach()
                counts[k] += part.count.detach()
                _accumulate(gradients[k], part.total, [piece, *leaves[1:]], needs, start, retain=k + 1 < len(terms))
        ctx.gradients = gradients
        total, count = torch.stack(totals), torch.stack(counts)
        ctx.mark_non_differentiable(count)
        return total, count

    @staticmethod
    @first_order_only
    def backward(ctx: Any, total_gradient: Tensor, _: Tensor) -> Any:
        sums: list[Tensor | None] = [None] * len(ctx.gradients[0])
        for scale, part in zip(total_gradient, ctx.gradients, strict=True):
            for k, gradient in enumerate(part):
                if gradient is not None:
                    scaled = gradient * scale
                    sums[k] = scaled if sums[k] is None else sums[k] + scaled
        return (None, None, None, *sums)


def _accumulate(
    sums: list[Tensor | None],
    total: Tensor,
    leaves: list[Tensor],
    needs: Sequence[bool],
    start: int,
    retain: bool,
) -> None:
    wanted = [k for k, need in enumerate(needs) if need]
    if not wanted or not total.requires_grad:
        return
    found = torch.autograd.grad(total, [leaves[k] for k in wanted], retain_graph=retain, allow_unused=True)
    for k, gradient in zip(wanted, found, strict=True):
        accumulated = sums[k]
        if gradient is not None and accumulated is not None:
            (accumulated[start : start + len(gradient)] if k == 0 else accumulated).add_(gradient)

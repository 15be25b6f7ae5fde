"""Blocks of rows over which a loss sums more than once, with O(block x M) memory.

What a sum over all rows is may depend on an earlier one. So no gradient can be taken at once, as `blocks` does: each
block is forgotten, and computed anew in the backward pass.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Look = Callable[[Tensor, int], tuple[Any, ...]]


def recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function without random draws returns; what it kept is forgotten, and computed anew backwards."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


class RecomputedBlocks:
    """The rows of a batch, a block at a time; a single block is looked at once, and kept.

    Args:
        look: (rows of a block, number of the first) -> what formulas take of the block.
        rows: (N, ...).
        block_size: rows at a time, >= 1.

    Example:
        >>> blocks = RecomputedBlocks(lambda rows, start: (rows,), torch.arange(6.0).view(3, 2), block_size=2)
        >>> blocks.sum(lambda rows: (rows.sum(), rows.square().sum()))
        (tensor(15.), tensor(55.))
    """

    def __init__(self, look: Look, rows: Tensor, block_size: int):
        self._look = look
        # A slice of its own for each block would make autograd write N x D zeros for it; a split does not.
        self._pieces = rows.split(block_size)
        self._block_size = block_size
        self._whole = look(rows, 0) if len(self._pieces) == 1 else None

    def sum(self, formula: Callable[..., tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return the sums over blocks of the tensors that the formula makes of each, whose shapes must agree.

        The formula may use tensors that came of earlier sums; gradients reach these too. As it is called once more in
        the backward pass, it must not depend on what changes before.
        """
        if self._whole is not None:
            return formula(*self._whole)
        parts = (recomputed(self._part, formula, piece, number) for number, piece in enumerate(self._pieces))
        return reduce(lambda sums, part: tuple(map(torch.add, sums, part)), parts)

    def log_sum(self, formula: Callable[..., Tensor]) -> Tensor:
        """Return log sum exp over blocks of the tensor that the formula makes of each; -inf where all are.

        Example:
            >>> blocks = RecomputedBlocks(lambda rows, start: (rows,), torch.zeros(3, 2), block_size=1)
            >>> blocks.log_sum(lambda rows: rows[0])  # log 3
            tensor([1.0986, 1.0986])
        """
        if self._whole is not None:
            return formula(*self._whole)
        with torch.no_grad():
            parts = (self._part(formula, piece, number) for number, piece in enumerate(self._pieces))
            whole = reduce(torch.logaddexp, parts)
        # Shares of the whole are at most 1 and add up to it: nothing overflows, and what is not there has no gradient.
        largest = whole.clamp_min(torch.finfo(whole.dtype).min)
        (shares,) = self.sum(lambda *block: ((formula(*block) - largest).exp(),))
        return whole + shares.masked_fill(whole == -torch.inf, 1).log()

    def _part(self, formula: Callable[..., Any], piece: Tensor, number: int) -> Any:
        return formula(*self._look(piece, number * self._block_size))

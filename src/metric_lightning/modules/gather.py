"""Rows of all ranks, one below the other, with gradients that find their way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from metric_lightning.errors import UserError


def world_size() -> int:
    """Return the number of ranks, 1 where there is no process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def lost_ranks_named() -> Iterator[None]:
    """Say in a sentence that another rank is gone, where a backend says it in its own words.

    Raises:
        UserError: talking to the other ranks failed.
    """
    try:
        yield
    except RuntimeError as error:
        raise UserError(
            f"rank {dist.get_rank()} of {world_size()} can't reach the others: one of them died or hangs, its own "
            "message says why; go on from the last checkpoint with --ckpt_path last. The backend says: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error


def row_counts(rows: int, device: torch.device) -> list[int]:
    """Return how many rows each rank has."""
    found = torch.zeros(world_size(), dtype=torch.int64, device=device)
    found[dist.get_rank()] = rows
    with lost_ranks_named():
        dist.all_reduce(found)
    return [int(count) for count in found.tolist()]


def gather_rows(rows: Tensor, counts: list[int]) -> Tensor:
    """Return the rows of all ranks, those of rank 0 first.

    Gradients flow back to the rank that a row belongs to, and are summed over ranks.

    Args:
        rows: (n_r, ...) of this rank; n_r may differ, all else is the same on all ranks.
        counts: n_r of each rank, see `row_counts`.
    """
    gathered: Tensor = _GatherRows.apply(rows, counts)
    return gathered


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        start = sum(counts[: dist.get_rank()])
        ctx.own = slice(start, start + len(rows))
        # Backends abort the process on uneven shapes: pad to the longest.
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        with lost_ranks_named():
            dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # The gradient may be someone else's too: sum into a copy.
        summed = gradient.clone(memory_format=torch.contiguous_format)
        with lost_ranks_named():
            dist.all_reduce(summed)
        return summed[ctx.own], None

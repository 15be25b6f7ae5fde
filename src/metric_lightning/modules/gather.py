"""Rows of all ranks, one below the other, with gradients that find their way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from metric_lightning.errors import UserError
from metric_lightning.functional.first_order import first_order_only


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
        raise UserError(_lost(error)) from error


@contextmanager
def lost_ranks_told_apart() -> Iterator[None]:
    """Do the same around what may fail for other reasons too: a backward pass, within which gradients are averaged.

    Raises:
        UserError: talking to the other ranks failed.
    """
    try:
        yield
    except RuntimeError as error:
        sentence = sentence_of_lost_rank(error)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def sentence_of_lost_rank(error: BaseException) -> str | None:
    """Return what to say where an error is a backend's word for a rank that can't be reached, else None.

    Example:
        >>> sentence_of_lost_rank(RuntimeError("out of memory")) is None
        True
    """
    # NCCL has a class for it; gloo raises RuntimeErrors that begin with the file they come from, or, where its own
    # timeout was the first to notice, this sentence.
    of_gloo = any(word in str(error) for word in ("gloo/transport", "Application timeout caused pair closure"))
    is_lost = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and of_gloo)
    return _lost(error) if is_lost and world_size() > 1 else None


def _lost(error: BaseException) -> str:
    return (
        f"rank {dist.get_rank()} of {world_size()} can't reach the others: one of them died or hangs, its own "
        "message says why; go on from the last checkpoint with --ckpt_path last. The backend says: "
        f"{str(error).strip().splitlines()[0]}"
    )


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
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # The gradient may be someone else's too: sum into a copy.
        summed = gradient.clone(memory_format=torch.contiguous_format)
        with lost_ranks_named():
            dist.all_reduce(summed)
        return summed[ctx.own], None

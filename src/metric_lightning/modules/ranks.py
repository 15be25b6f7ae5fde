"""Many ranks, one loss: the same gradients as one process on the concatenated batch.

W ranks, rank r holds n_r rows. Trainers average gradients over ranks; the scale factors here undo that.

- A row-wise loss: each rank takes its own rows against everyone's columns. With totals T_r and the sum C of all counts, rank r
  differentiates W T_r / C; the average over ranks is the gradient of (sum_r T_r) / C, for the network, whose share through
  other ranks' columns comes back through the gather, and for the loss's own parameters alike.
- Any other loss: every rank computes it on the gathered batch. The gather's backward adds W equal gradients, the trainer's
  average divides by W; the loss's own parameters get the same gradient everywhere.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from metric_lightning.losses.base import MetricLoss, reduce_terms
from metric_lightning.types import Pairs, Ratio, References


def world_size() -> int:
    """Return the number of ranks, 1 where there is no process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def loss_over_ranks(loss: MetricLoss, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return what this rank differentiates, and the value of the loss on the batch of all ranks (detached).

    Args:
        loss: any loss.
        embeddings: (n_r, D) of this rank; n_r may differ between ranks, and may be 0.
        labels: (n_r,).
    """
    ranks = world_size()
    if ranks == 1:
        value = loss(embeddings, labels)
        return value, value.detach()
    columns, start = gather_rows(embeddings)
    column_labels, _ = gather_rows(labels)
    if not loss.row_wise:
        value = loss(columns, column_labels)
        return value, value.detach()
    own = start + torch.arange(len(embeddings), device=embeddings.device)
    return _summed_over_ranks(loss, loss.terms(embeddings, labels, References(columns, column_labels, own)))


def loss_over_pairs(
    loss: MetricLoss, embeddings: Tensor, labels: Tensor, references: References, pairs: Pairs
) -> tuple[Tensor, Tensor]:
    """Return the same for given pairs, which each rank has with their references: nothing is gathered.

    Args:
        loss: a row-wise loss.
        embeddings: (n_r, D) anchors.
        labels: (n_r,).
        references: the m_r columns.
        pairs: (n_r, m_r) masks.

    Raises:
        ValueError: the loss is not row-wise, or compares with class weights and not with references.
    """
    if not loss.row_wise or loss.learns_classes:
        raise ValueError(f"{type(loss).__name__} can't be used on given pairs or triplets; use EmbeddingModule with it")
    terms = loss.terms(embeddings, labels, references, pairs)
    if world_size() > 1:
        return _summed_over_ranks(loss, terms)
    value = reduce_terms(terms)
    return value, value.detach()


def _summed_over_ranks(loss: MetricLoss, terms: dict[str, Ratio]) -> tuple[Tensor, Tensor]:
    totals = torch.stack([ratio.total for ratio in terms.values()])
    sums = torch.stack([totals.detach(), torch.stack([ratio.count for ratio in terms.values()]).to(totals)])
    dist.all_reduce(sums)
    counts = sums[1].masked_fill(sums[1] == 0, 1)
    # Every rank must reach every parameter, also one whose rows are none.
    reached = sum((parameter.sum() * 0 for parameter in loss.parameters()), start=totals.new_zeros(()))
    return world_size() * (totals / counts).sum() + reached, (sums[0] / counts).sum()


def gather_rows(rows: Tensor) -> tuple[Tensor, int]:
    """Return the rows of all ranks in the order of the ranks, and where this rank's own begin.

    Ranks may hold different numbers of rows. Gradients flow back to the rank they belong to, summed over ranks. One process
    gets its own rows.
    """
    if world_size() == 1:
        return rows, 0
    sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    lengths = [int(size) for size in sizes]
    start = sum(lengths[: dist.get_rank()])
    gathered: Tensor = _GatherRows.apply(rows, lengths, start)
    return gathered, start


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, lengths: list[int], start: int) -> Tensor:
        ctx.own = slice(start, start + len(rows))
        # Backends abort the process on uneven shapes: pad to the longest.
        padded = rows.new_zeros(max(lengths), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[ctx.own], None, None

"""Many ranks, one loss: the same gradients as one process on the concatenated batch.

W ranks, rank r holds n_r rows, maybe none. Trainers average gradients over ranks; the scale factors here undo that.

- A row-wise loss: each rank takes its own rows against everyone's columns. With totals T_r and the sum C of all
  counts, rank r differentiates W T_r / C; the average over ranks is the gradient of (sum_r T_r) / C, for the network,
  whose share through other ranks' columns comes back through the gather, and for the loss's own parameters alike.
- Any other loss: every rank computes it on the gathered batch. The gather's backward adds W equal gradients, the
  trainer's average divides by W; the loss's own parameters get the same gradient everywhere.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from metric_lightning.functional.precision import full_precision
from metric_lightning.losses.base import MetricLoss, reduce_terms
from metric_lightning.losses.sharded_classes import ShardedClassLoss
from metric_lightning.modules.gather import gather_rows, lost_ranks_named, row_counts, world_size
from metric_lightning.modules.model_parallel import is_spread
from metric_lightning.modules.shards import loss_over_shards
from metric_lightning.types import Pairs, Ratio, References


def loss_over_ranks(loss: MetricLoss, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return what this rank differentiates, and the value of the loss on the batch of all ranks (detached).

    Args:
        loss: any loss.
        embeddings: (n_r, D) of this rank; n_r may differ between ranks, and may be 0.
        labels: (n_r,).
    """
    if world_size() == 1:
        value = loss(embeddings, labels)
        return value, value.detach()
    if isinstance(loss, ShardedClassLoss) and loss.ranks > 1:
        return loss_over_shards(loss, embeddings, labels)
    counts = row_counts(len(embeddings), embeddings.device)
    # In float32, so that the gradients of half-precision embeddings are not rounded once for each rank.
    columns = gather_rows(full_precision(embeddings), counts)
    column_labels = gather_rows(labels, counts)
    if not loss.row_wise:
        value = reduce_terms(loss.terms(columns, column_labels))
        return value + _reaching(loss, columns), value.detach()
    own = sum(counts[: dist.get_rank()]) + torch.arange(len(embeddings), device=embeddings.device)
    terms = loss.terms(embeddings, labels, References(columns, column_labels, own))
    return _summed_over_ranks(terms, _reaching(loss, columns))


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
        return _summed_over_ranks(terms, _reaching(loss, embeddings))
    value = reduce_terms(terms)
    return value, value.detach()


def loss_between_views(loss: MetricLoss, first: Tensor, second: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same for pairs of one view with the other, in both directions.

    Anchors are the embeddings of both views; each is compared with the other view of all samples of all ranks, its own
    sample's among them, and never with its own view.

    Args:
        loss: a row-wise loss of pairs.
        first: (n_r, D), of the first view of this rank's samples; n_r may differ between ranks.
        second: (n_r, D), of the second.
        labels: (n_r,).

    Raises:
        ValueError: the loss is not row-wise, or compares with class weights and not with references.
    """
    if not loss.row_wise or loss.learns_classes:
        raise ValueError(
            f"{type(loss).__name__} can't compare two views; use a loss of pairs: InfoNCELoss, SigmoidPairwiseLoss or "
            "TripletMarginLoss, say"
        )
    anchors, twice = torch.cat([first, second]), torch.cat([labels, labels])
    columns, column_labels, numbers = anchors, twice, None
    if world_size() > 1:
        counts = row_counts(len(labels), labels.device)
        first_numbers = sum(counts[: dist.get_rank()]) + torch.arange(len(labels), device=labels.device)
        numbers = torch.cat([first_numbers, sum(counts) + first_numbers])
        columns = torch.cat([gather_rows(full_precision(view), counts) for view in (first, second)])
        column_labels = gather_rows(labels, counts).repeat(2)
    across = torch.arange(len(anchors), device=labels.device)[:, None] < len(first)
    across = across != (torch.arange(len(columns), device=labels.device) < len(columns) // 2)
    same = twice[:, None] == column_labels
    references = References(columns, column_labels, numbers=numbers)
    terms = loss.terms(anchors, twice, references, Pairs(across & same, across & ~same))
    if world_size() > 1:
        return _summed_over_ranks(terms, _reaching(loss, columns))
    value = reduce_terms(terms)
    return value, value.detach()


def _summed_over_ranks(terms: dict[str, Ratio], reaching: Tensor) -> tuple[Tensor, Tensor]:
    totals = torch.stack([ratio.total for ratio in terms.values()])
    sums = torch.stack([totals.detach(), torch.stack([ratio.count for ratio in terms.values()]).to(totals)])
    with lost_ranks_named():
        dist.all_reduce(sums)
    counts = sums[1].masked_fill(sums[1] == 0, 1)
    return world_size() * (totals / counts).sum() + reaching, (sums[0] / counts).sum()


def _reaching(loss: MetricLoss, rows: Tensor) -> Tensor:
    """Return a 0 that depends on all parameters and on `rows`.

    Every rank must take part in every sum of gradients over ranks, also one whose rows leave a loss early.
    """
    parts = [rows]
    if not is_spread(loss):
        parts += [parameter for parameter in loss.parameters() if parameter.requires_grad]
    return torch.stack([part.flatten()[:0].sum().to(rows.dtype) for part in parts]).sum()

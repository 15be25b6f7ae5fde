"""What a batch tells of training: how many pairs still pull, how far apart they are. Bounded cost, no gradient kept."""

import torch
import torch.distributed as dist
from torch import Tensor

from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.functional.pairs import pairs_from_labels
from metric_lightning.functional.precision import autocast_off, full_precision
from metric_lightning.losses.base import MetricLoss, PairwiseLoss, reduce_terms
from metric_lightning.modules.gather import gather_rows, row_counts, world_size
from metric_lightning.modules.model_parallel import is_spread

_MOST_ANCHORS = 512


def batch_statistics(loss: object, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return scalars of the first 512 samples of a batch, that of all ranks together; all ranks must call.

    - `positive_distance`, `negative_distance`: mean Euclidean distance of pairs of the same and of different classes;
    - `active_pairs`, of pairwise losses of distances alone: share of the pairs whose distance the loss would change,
      or one of several losses in a sum; of a memory's loss, pairs within the batch.

    A figure of no pairs is left out; so are distances of samples with several labels.
    """
    embeddings, labels = _first_rows(full_precision(embeddings.detach()[:_MOST_ANCHORS]), labels[:_MOST_ANCHORS])
    found = _mean_distances(embeddings, labels) if labels.ndim == 1 else {}
    losses = _losses_of_distances(loss)
    if losses and len(labels):
        found["active_pairs"] = _active_share(losses, embeddings, labels)
    return found


def _mean_distances(embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
    pairs = pairs_from_labels(labels, labels, torch.arange(len(labels), device=labels.device))
    distances = euclidean_distances(embeddings, embeddings)
    masks = {"positive_distance": pairs.positive, "negative_distance": pairs.negative}
    return {name: distances[mask].mean() for name, mask in masks.items() if mask.any()}


def _losses_of_distances(loss: object) -> list[PairwiseLoss]:
    """Return the losses that a loss is or wraps; none where one of them sees more than distances.

    One that overrides `block_terms` does: from distances alone it can't be computed.
    """
    if not isinstance(loss, MetricLoss) or is_spread(loss):
        return []
    # A loss that holds others is none of its own.
    found = [part for part in loss.modules() if isinstance(part, MetricLoss) and not _losses_within(part)]
    pairwise = [part for part in found if isinstance(part, PairwiseLoss)]
    alone = all(type(part).block_terms is PairwiseLoss.block_terms for part in pairwise)
    return pairwise if alone and len(pairwise) == len(found) else []


def _losses_within(loss: MetricLoss) -> bool:
    return any(isinstance(part, MetricLoss) for part in loss.modules() if part is not loss)


def _first_rows(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first 512 rows of all ranks' batches, one below the other; no more of them are sent."""
    if world_size() == 1:
        return embeddings, labels
    counts = row_counts(len(labels), labels.device)
    wanted = [max(0, min(count, _MOST_ANCHORS - sum(counts[:rank]))) for rank, count in enumerate(counts)]
    own = wanted[dist.get_rank()]
    return gather_rows(embeddings[:own], wanted), gather_rows(labels[:own], wanted)


def _active_share(losses: list[PairwiseLoss], embeddings: Tensor, labels: Tensor) -> Tensor:
    found = [_active_and_counted(loss, embeddings, labels) for loss in losses]
    active, counted = (torch.stack(masks).any(0) for masks in zip(*found, strict=True))
    return active[counted].to(embeddings.dtype).mean()


def _active_and_counted(loss: PairwiseLoss, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return masks of the pairs that a loss would change, and of those it looks at."""
    training = loss.training
    loss.eval()  # so that a random miner does not move on
    try:
        with torch.enable_grad(), autocast_off(embeddings.device):
            own = torch.arange(len(labels), device=labels.device)
            pairs = loss.relevance(labels, labels, own)
            distances = loss.distance(embeddings, embeddings).detach().requires_grad_()
            keys = None if loss.miner is None else loss.miner.keys(own)
            terms = loss.anchor_terms(distances, pairs._replace(keys=keys))
            total = reduce_terms({name: type(part)(part.total.sum(), part.count.sum()) for name, part in terms.items()})
            (gradient,) = torch.autograd.grad(total, distances, allow_unused=True)
    finally:
        loss.train(training)
    counted = pairs.positive | pairs.negative
    return (torch.zeros_like(counted) if gradient is None else gradient != 0), counted

"""What a batch tells of training: how many pairs still pull, how far apart they are. Bounded cost, no gradient kept."""

import torch
import torch.distributed as dist
from torch import Tensor

from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.functional.pairs import pairs_from_labels
from metric_lightning.functional.precision import full_precision
from metric_lightning.losses.base import PairwiseLoss, reduce_terms
from metric_lightning.modules.gather import gather_rows, row_counts, world_size
from metric_lightning.modules.model_parallel import is_spread

_MOST_ANCHORS = 512


def batch_statistics(loss: object, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return scalars of the first 512 samples of a batch, that of all ranks together; all ranks must call.

    - `positive_distance`, `negative_distance`: mean Euclidean distance of pairs of the same and of different classes;
    - `active_pairs`, for pairwise losses of distances alone: share of the pairs whose distance the loss would change.

    A figure of no pairs is left out.
    """
    embeddings, labels = _first_rows(full_precision(embeddings.detach()[:_MOST_ANCHORS]), labels[:_MOST_ANCHORS])
    pairs = pairs_from_labels(labels, labels, torch.arange(len(labels), device=labels.device))
    distances = euclidean_distances(embeddings, embeddings)
    found = {}
    for name, mask in (("positive_distance", pairs.positive), ("negative_distance", pairs.negative)):
        if mask.any():
            found[name] = distances[mask].mean()
    # A loss that overrides `block_terms` sees more than distances: from them alone it can't be computed.
    alone = isinstance(loss, PairwiseLoss) and type(loss).block_terms is PairwiseLoss.block_terms
    if isinstance(loss, PairwiseLoss) and alone and not is_spread(loss) and len(labels):
        found["active_pairs"] = _active_share(loss, embeddings, labels)
    return found


def _first_rows(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first 512 rows of all ranks' batches, one below the other; no more of them are sent."""
    if world_size() == 1:
        return embeddings, labels
    counts = row_counts(len(labels), labels.device)
    wanted = [max(0, min(count, _MOST_ANCHORS - sum(counts[:rank]))) for rank, count in enumerate(counts)]
    own = wanted[dist.get_rank()]
    return gather_rows(embeddings[:own], wanted), gather_rows(labels[:own], wanted)


def _active_share(loss: PairwiseLoss, embeddings: Tensor, labels: Tensor) -> Tensor:
    training = loss.training
    loss.eval()  # so that a random miner does not move on
    try:
        with torch.enable_grad(), torch.autocast(embeddings.device.type, enabled=False):
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
    if gradient is None:
        return distances.new_zeros(())
    return (gradient[counted] != 0).to(distances.dtype).mean()

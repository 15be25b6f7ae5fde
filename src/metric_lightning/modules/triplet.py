"""The module for batches of given triplets (`TripletBatches`)."""

import torch
from torch import Tensor

from metric_lightning.modules.base import MetricModule
from metric_lightning.modules.ranks import loss_over_pairs
from metric_lightning.types import Pairs, References


class TripletModule(MetricModule):
    """Trains a network on given triplets: all images go through the one shared network, in one call for the batch.

    Batches are flat, (a0, p0, n0, a1, p1, n1, ...). The loss is any pairwise one: anchor i has the one positive p_i
    and the one negative n_i. Arguments are those of `MetricModule`.
    """

    def batch_loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the triplets, see `MetricModule.batch_loss`."""
        anchor, positive, negative = embeddings.unflatten(0, (-1, 3)).unbind(1)
        anchor_labels, positive_labels, negative_labels = labels.unflatten(0, (-1, 3)).unbind(1)
        references = References(torch.cat([positive, negative]), torch.cat([positive_labels, negative_labels]))
        own = torch.eye(len(anchor), dtype=torch.bool, device=labels.device)
        none = torch.zeros_like(own)
        pairs = Pairs(torch.cat([own, none], dim=1), torch.cat([none, own], dim=1))
        return loss_over_pairs(self.loss, anchor, anchor_labels, references, pairs)

"""The module for batches of given pairs (`PairBatches`)."""

from torch import Tensor

from metric_lightning.modules.base import MetricModule
from metric_lightning.modules.ranks import loss_over_pairs
from metric_lightning.types import Pairs, References


class SiameseModule(MetricModule):
    """Trains a network on given pairs: both images go through the one shared network, in one call for the batch.

    Batches are flat, (a0, b0, a1, b1, ...); a pair is positive when its two labels are equal. The loss is any pairwise
    one: row i of its distances is a_i, of its columns only b_i counts. Arguments are those of `MetricModule`.
    """

    def batch_loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the pairs, see `MetricModule.batch_loss`."""
        first, second = embeddings.unflatten(0, (-1, 2)).unbind(1)
        first_labels, second_labels = labels.unflatten(0, (-1, 2)).unbind(1)
        same = first_labels == second_labels
        references = References(second, second_labels)
        return loss_over_pairs(self.loss, first, first_labels, references, Pairs(same.diag(), (~same).diag()))

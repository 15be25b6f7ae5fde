"""The module for online losses: labelled batches, pairs and triplets made within them."""

from torch import Tensor

from metric_lightning.modules.base import MetricModule
from metric_lightning.modules.ranks import loss_over_ranks


class EmbeddingModule(MetricModule):
    """Trains a network by any loss on labelled batches; on many ranks by the loss of their concatenated batch.

    Arguments are those of `MetricModule`.

    Example:
        >>> import torch
        >>> from metric_lightning.losses import TripletMarginLoss
        >>> from metric_lightning.networks import EmbeddingNet
        >>> network = EmbeddingNet(embedding_dim=2, input_shape=(1, 28, 28))
        >>> module = EmbeddingModule(network, TripletMarginLoss(margin=0.2))
        >>> module(torch.zeros(3, 1, 28, 28)).shape
        torch.Size([3, 2])
    """

    def batch_loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the batch, see `MetricModule.batch_loss`."""
        return loss_over_ranks(self.loss, embeddings, labels)

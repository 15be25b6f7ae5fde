"""The module for two networks that embed two views of a sample into one space."""

from torch import Tensor

from metric_lightning.metrics import CrossViewRetrieval
from metric_lightning.metrics.base import EmbeddingMetric
from metric_lightning.modules.base import MetricModule
from metric_lightning.modules.ranks import loss_between_views
from metric_lightning.types import InputShape


class TwoTowerModule(MetricModule):
    """Trains two networks so that the views of one class meet: an image and its text, a drawing and its strokes.

    The network gives both views' embeddings side by side (`networks.TwoTowers`). Each view's embedding is an anchor
    compared with the other view of all samples of the batch: positive where the labels are equal, the sample's own
    other view among them. The loss is any of pairs: InfoNCE, SigLIP's sigmoid, triplets. For pairs without classes
    give every sample a label of its own.

    Arguments are those of `MetricModule`; the default metric is `CrossViewRetrieval`.

    References:
        Bromley et al.: Signature verification using a siamese time delay neural network (NIPS 1993), the shared tower.
        Radford et al.: Learning transferable visual models from natural language supervision (ICML 2021), two towers.
    """

    def batch_loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss between the views, see `MetricModule.batch_loss`."""
        first, second = embeddings.chunk(2, dim=1)
        return loss_between_views(self.loss, first, second, labels)

    def default_metrics(self) -> list[EmbeddingMetric]:
        """Return what is evaluated unless metrics are given."""
        return [CrossViewRetrieval()]

    def _embedding_dim(self, input_shape: InputShape | None) -> int:
        return super()._embedding_dim(input_shape) // 2

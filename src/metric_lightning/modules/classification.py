"""The softmax baseline: a classifier whose penultimate layer is the embedding."""

from torch import nn

from metric_lightning.modules.embedding import EmbeddingModule


class ClassificationModule(EmbeddingModule):
    """Trains a network as a classifier; the embedding is the network's output after a PReLU, the classifier's input.

    Its loss has the class weights: `SoftmaxLoss`, say. Arguments are those of `MetricModule`.
    """

    def make_head(self) -> nn.Module:
        """Return the activation between the network and the classifier."""
        return nn.PReLU()

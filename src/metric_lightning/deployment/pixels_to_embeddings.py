"""The network as it is shipped: 8-bit pixels in, embeddings out."""

from torch import Tensor, nn

from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.modules import MetricModule


class PixelsToEmbeddings(nn.Module):
    """Normalises pixels (n, C, H, W) uint8 and embeds them: (n, D) float32. n is free.

    Only what an embedding needs is part of it: no loss, no metrics.
    """

    def __init__(self, module: MetricModule, preprocessing: Preprocessing):
        super().__init__()
        self.preprocessing = preprocessing
        # A module with a forward of its own is taken as a whole.
        own = type(module).forward is not MetricModule.forward
        self.embed = module if own else nn.Sequential(module.network, module.head)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the embeddings of pixels."""
        embeddings: Tensor = self.embed(self.preprocessing.normalised(pixels))
        return embeddings.float()

"""Pictures of embeddings: data in, matplotlib figure out; nothing is read, written or kept."""

from metric_lightning.plots.canvas import pixels, png
from metric_lightning.plots.embedding_scatter import embedding_scatter
from metric_lightning.plots.scatter import Points
from metric_lightning.plots.tsne import tsne_figure, tsne_positions

__all__ = ["Points", "embedding_scatter", "pixels", "png", "tsne_figure", "tsne_positions"]

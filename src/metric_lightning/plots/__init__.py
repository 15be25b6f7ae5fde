"""Pictures of embeddings: data in, matplotlib figure out; nothing is read, written or kept."""

from metric_lightning.plots.canvas import pixels, png
from metric_lightning.plots.class_distances import class_confusion, class_distances_figure
from metric_lightning.plots.embedding_scatter import embedding_scatter
from metric_lightning.plots.film import animated_gif
from metric_lightning.plots.gallery import Picture, gallery_figure
from metric_lightning.plots.learning_curves import learning_curves
from metric_lightning.plots.scatter import Limits, Points
from metric_lightning.plots.tsne import tsne_figure, tsne_positions
from metric_lightning.plots.umap import umap_positions
from metric_lightning.plots.verification_figure import verification_figure

__all__ = [
    "Limits",
    "Picture",
    "Points",
    "animated_gif",
    "class_confusion",
    "class_distances_figure",
    "embedding_scatter",
    "gallery_figure",
    "learning_curves",
    "pixels",
    "png",
    "tsne_figure",
    "tsne_positions",
    "umap_positions",
    "verification_figure",
]

"""t-SNE: neighbourhoods of many dimensions, drawn in two.

van der Maaten, Hinton. Visualizing Data using t-SNE. JMLR 2008.
n points, D dimensions.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from metric_lightning.plots.scatter import Points, scatter_figure

_ITERATIONS = 500  # what follows changes no neighbourhood
_PCA_DIMENSIONS = 50  # as van der Maaten did: faster, and no worse
_COARSE = 0.7  # Barnes-Hut angle; 0.5, the usual, takes half as long again


def tsne_positions(samples: Tensor, seed: int = 0) -> Tensor:
    """Return positions (n, 2) in which neighbours among `samples` (n, ...) are neighbours.

    The same on every call. About 0.5 s for 500 points on one core, 0.8 s for 1,000 and 1.8 s for 2,000.

    Args:
        samples: finite; all dimensions but the first are flattened.
        seed: of the parts left to chance.

    Example:
        >>> tsne_positions(torch.randn(30, 8)).shape
        torch.Size([30, 2])
    """
    # Imported late: about a second, which no run should pay that draws none.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = samples.detach().cpu().flatten(1).numpy().astype(np.float64)
    if len(rows) < 3:
        return torch.zeros(len(rows), 2)
    # Scale means nothing to t-SNE, but that tiny distances underflow.
    rows = (rows - rows.mean(0)) / (rows.std() or 1.0)
    if rows.shape[1] > _PCA_DIMENSIONS < len(rows):
        rows = PCA(_PCA_DIMENSIONS, random_state=seed).fit_transform(rows)
    perplexity = min(30.0, (len(rows) - 1) / 3)
    # Started from the two main directions neighbouring groups stay neighbours, but there must be two.
    varied = rows.shape[1] >= 2 and np.linalg.matrix_rank(rows) >= 2
    positions = TSNE(
        perplexity=perplexity,
        init="pca" if varied else "random",
        max_iter=_ITERATIONS,
        angle=_COARSE,
        random_state=seed,
        n_jobs=1,
    ).fit_transform(rows)
    return torch.from_numpy(positions).float()


def tsne_figure(
    inputs: Tensor | None,
    embedding: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    title: str = "t-SNE by class",
    name: str = "t-SNE",
) -> Figure:
    """Draw the t-SNE, or UMAP, of raw inputs beside that of the embedding of the same samples.

    Args:
        inputs: (n, 2) positions, from `tsne_positions` or `umap_positions`; None: the embedding alone.
        embedding: (n, 2) likewise.
        labels: (n,).
        class_names: C names.
        title: of the figure.
        name: of the axes.
    """
    panels = {} if inputs is None else {"raw inputs": Points(inputs, labels)}
    panels["embedding"] = Points(embedding, labels)
    axis_names = (f"{name} 1 (no unit)", f"{name} 2 (no unit)")
    return scatter_figure(panels, class_names, title, axis_names, same_limits=False)

"""UMAP: neighbourhoods of many dimensions, drawn in two; an optional package.

McInnes, Healy, Melville. UMAP: Uniform Manifold Approximation and Projection. 2018.
n points.
"""

import numpy as np
import torch
from torch import Tensor

from metric_lightning.errors import UserError

_NEIGHBOURS = 15


def umap_positions(samples: Tensor, seed: int = 0) -> Tensor:
    """Return positions (n, 2) in which neighbours among `samples` (n, ...) are neighbours.

    The same on every call with the same packages. Larger groups keep their places better than in t-SNE; the first call
    of a process takes some ten seconds of compiling, 500 points then about one.

    Args:
        samples: finite; all dimensions but the first are flattened.
        seed: of the parts left to chance.

    Raises:
        UserError: the package umap-learn is not installed.
    """
    try:
        from umap import UMAP
    except ImportError as error:
        raise UserError("UMAP needs the package umap-learn: pip install 'metric_lightning[umap]'") from error
    rows = samples.detach().cpu().flatten(1).numpy().astype(np.float32)
    if len(rows) < 4:
        return torch.zeros(len(rows), 2)
    neighbours = min(_NEIGHBOURS, len(rows) - 1)
    # One thread: with a seed there is no other way, and it would warn.
    found = UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1, init="pca").fit_transform(rows)
    return torch.from_numpy(np.asarray(found)).float()

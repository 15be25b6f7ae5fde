"""How much of what exact search finds an approximate index finds."""

import numpy as np

from metric_lightning.deployment.vector_index import BLOCK, Floats, VectorIndex


def recall_against_exact(vectors: VectorIndex, embeddings: Floats, k: int, queries: int, seed: int = 0) -> float:
    """Return the share of the k nearest embeddings that the index finds, over some of its own embeddings as queries.

    A query finds itself too, in exact search and mostly in the index. What the index finds as near as the k-th nearest
    counts as found, so that ties cost nothing.

    Args:
        vectors: index of `embeddings`.
        embeddings: (n, D), in memory or in a file; read in blocks.
        k: at most n.
        queries: how many, drawn at random; at most n.
        seed: of the draw.

    Example:
        >>> embeddings = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
        >>> recall_against_exact(VectorIndex.build(embeddings), embeddings, k=5, queries=10)
        1.0
    """
    drawn = np.sort(np.random.default_rng(seed).choice(len(embeddings), queries, replace=False))
    asked = np.ascontiguousarray(embeddings[drawn])
    farthest = exact_distances(embeddings, asked, k, vectors)[:, -1:]
    found, _ = vectors.search(asked, k)
    return float((found <= farthest * (1 + 1e-6)).sum() / found.size)


def exact_distances(embeddings: Floats, asked: Floats, k: int, vectors: VectorIndex) -> Floats:
    """Return the distances (q, k) of the k nearest embeddings of each query, by exact search block by block."""
    nearest = np.full((len(asked), 0), np.inf, dtype=np.float32)
    for start in range(0, len(embeddings), BLOCK):
        block = VectorIndex.build(embeddings[start : start + BLOCK], "flat", vectors.distance)
        found, _ = block.search(asked, min(k, len(block)))
        nearest = np.sort(np.concatenate([nearest, found], axis=1), axis=1)[:, :k]
    return nearest

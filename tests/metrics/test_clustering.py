import math

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from metric_lightning.metrics import ClusteringMetrics, EmbeddedSet
from metric_lightning.metrics.clustering import purity


def embedded(embeddings, labels):
    return EmbeddedSet(embeddings, labels, torch.arange(len(labels)))


@pytest.mark.parametrize("clusters", [None, 3])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_equals_scikit_learn_and_a_loop(distance, clusters):
    labels = torch.randint(5, (200,))
    embeddings = torch.eye(5)[labels] + 0.4 * torch.randn(200, 5)
    points = embeddings / embeddings.norm(dim=1, keepdim=True) if distance == "cosine" else embeddings
    found = KMeans(clusters or 5, n_init=3, random_state=7).fit_predict(points.numpy())
    slow = sum(max(np.sum(labels.numpy()[found == c] == y) for y in range(5)) for c in np.unique(found)) / 200
    figures = ClusteringMetrics(clusters, restarts=3, seed=7, distance=distance).evaluate(embedded(embeddings, labels))
    assert figures == pytest.approx(
        {
            "nmi": normalized_mutual_info_score(labels, found),
            "ami": adjusted_mutual_info_score(labels, found),
            "purity": slow,
        },
        abs=0.03 if distance == "cosine" else 1e-12,
    )


def test_special_cases():
    labels = torch.arange(40) % 4
    perfect = ClusteringMetrics().evaluate(embedded(torch.eye(4)[labels] * 9, labels))
    assert perfect == {"nmi": 1.0, "ami": 1.0, "purity": 1.0}
    one = ClusteringMetrics().evaluate(embedded(torch.randn(9, 2), torch.zeros(9, dtype=torch.int64)))
    assert one["purity"] == 1.0
    collapsed = ClusteringMetrics().evaluate(embedded(torch.ones(40, 3), labels))
    assert collapsed["purity"] == 0.25 and collapsed["nmi"] == pytest.approx(0, abs=1e-9)
    assert all(math.isnan(v) for v in ClusteringMetrics().evaluate(embedded(torch.empty(0, 2), labels[:0])).values())
    assert purity(torch.tensor([1, 1, 2]), torch.tensor([0, 0, 0])) == pytest.approx(2 / 3)
    for arguments, message in (
        ({"clusters": 0}, "clusters=0"),
        ({"restarts": 0}, "restarts=0"),
        ({"distance": "dot"}, "dot"),
    ):
        with pytest.raises(ValueError, match=message):
            ClusteringMetrics(**arguments)
    with pytest.raises(ValueError, match="overlap"):
        ClusteringMetrics().evaluate(embedded(torch.randn(3, 2), torch.ones(3, 2, dtype=torch.bool)))

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from metric_lightning.functional import scores
from metric_lightning.functional.knn import knn_predict
from metric_lightning.metrics import EmbeddedSet, KNNAccuracy


def embedded(embeddings, labels):
    return EmbeddedSet(embeddings, labels, torch.arange(len(labels)))


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_equals_scikit_learn_on_untied_data(k, weighted, distance, monkeypatch):
    monkeypatch.setattr(scores, "BLOCK_ELEMENTS", 300)
    monkeypatch.setattr(scores, "LARGEST_BLOCK", 200)
    gallery, labels, queries = (
        torch.randn(40, 3),
        torch.randint(4, (40,)) * 3 - 2,
        torch.randn(60, 3),
    )
    queries[:5] = gallery[:5]  # at distance 0
    oracle = KNeighborsClassifier(k, weights="distance" if weighted else "uniform", metric=distance, algorithm="brute")
    expected = oracle.fit(gallery.double(), labels).predict(queries.double())
    predicted = knn_predict(queries, gallery, labels, k, weighted, distance)
    assert predicted.tolist() == expected.tolist()
    own = torch.randint(4, (60,)) * 3 - 2
    figure = KNNAccuracy(k, weighted, distance).evaluate(embedded(queries, own), embedded(gallery, labels))
    name = "weighted_knn_accuracy" if weighted else "knn_accuracy"
    assert figure == {name: pytest.approx(np.mean(expected == own.numpy()))}


def slow_vote(query, gallery, labels, k, weighted):
    """Fractions of votes for items tied at the k-th place."""
    d = (gallery - query).norm(dim=1)
    kth = d.sort().values[k - 1]
    share = torch.where(d < kth, 1.0, torch.where(d == kth, (k - (d < kth).sum()) / (d == kth).sum(), 0.0)).double()
    if weighted:
        share = share * (d == 0) if (d == 0).any() else share / d.clamp(min=1e-9)
    votes = {label: float(share[labels == label].sum()) for label in labels.unique().tolist()}
    return min(votes, key=lambda label: (round(-votes[label], 6), label))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [1, 3, 4, 7, 30])
def test_tied_items_share_the_votes_that_are_left(k, weighted):
    gallery, labels = torch.randint(3, (30, 2)).float(), torch.randint(3, (30,))
    queries = torch.randint(4, (40, 2)).float()
    expected = [slow_vote(query, gallery, labels, k, weighted) for query in queries]
    assert knn_predict(queries, gallery, labels, k, weighted).tolist() == expected
    shuffled = torch.randperm(30)
    assert knn_predict(queries, gallery[shuffled], labels[shuffled], k, weighted).tolist() == expected


def test_one_class_no_gallery_and_no_query():
    one = embedded(torch.randn(9, 2), torch.zeros(9, dtype=torch.int64))
    assert KNNAccuracy().evaluate(one, one) == {"knn_accuracy": 1.0}
    assert KNNAccuracy().evaluate(one) == {}
    none = embedded(torch.empty(0, 2), torch.empty(0, dtype=torch.int64))
    assert math.isnan(KNNAccuracy().evaluate(none, one)["knn_accuracy"])


def test_bad_arguments():
    one = embedded(torch.randn(3, 2), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="k=0"):
        KNNAccuracy(k=0)
    with pytest.raises(ValueError, match="k=5 must lie between 1 and the number of gallery items, 3"):
        KNNAccuracy().evaluate(one, one)
    with pytest.raises(ValueError, match="distance='dot'"):
        KNNAccuracy(weighted=True, distance="dot")
    several = one._replace(labels=torch.ones(3, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="one winner"):
        KNNAccuracy(k=1).evaluate(several, several)

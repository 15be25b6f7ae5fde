import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_r_precision,
    retrieval_reciprocal_rank,
)

from metric_lightning.functional import nearest, retrieval, scores
from metric_lightning.metrics import EmbeddedSet, RetrievalMetrics
from metric_lightning.parts import describe
from metric_lightning.relevance import LabelsByClass, MultiLabel

from . import oracles

NAMES = {
    "precision_at_1": ("precision", 1),
    "precision_at_4": ("precision", 4),
    "recall_at_1": ("recall", 1),
    "recall_at_3": ("recall", 3),
    "ndcg_at_1": ("ndcg", 1),
    "ndcg_at_4": ("ndcg", 4),
    "r_precision": ("r_precision", None),
    "map_at_r": ("map_at_r", None),
    "mean_average_precision": ("average_precision", None),
    "mean_reciprocal_rank": ("reciprocal_rank", None),
}


def everything(**arguments):
    return RetrievalMetrics(precision_at=(1, 4), recall_at=(1, 3), ndcg_at=(1, 4), full_ranking=True, **arguments)


def top_only(**arguments):
    return RetrievalMetrics(precision_at=(1, 4), recall_at=(1, 3), ndcg_at=(1, 4), **arguments)


def embedded(embeddings, labels, groups=None):
    return EmbeddedSet(embeddings, labels, torch.arange(len(labels)), groups)


def grid(n, seed, side=3, dim=2):
    """Points of a small grid: full of ties and duplicates, exact in float32."""
    return torch.randint(side, (n, dim), generator=torch.Generator().manual_seed(seed)).float()


def normal(n, seed, dim=5):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def labels_of(n, n_classes, seed=0):
    return torch.randint(n_classes, (n,), generator=torch.Generator().manual_seed(seed))


def assert_values(metric, queries, gallery, distances, relevant, allowed):
    values = metric.values(queries, gallery)
    for name, value in values.items():
        expected = oracles.retrieval(distances, relevant, allowed, *NAMES[name])
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-9, atol=1e-12, err_msg=name)
    return values


@pytest.fixture(params=["sorted", "top"])
def route(request, monkeypatch):
    """Both ways of counting: sorting rows, and looking at the top (not taken by small galleries)."""
    if request.param == "top":
        monkeypatch.setattr(retrieval, "is_small", lambda k, n_columns: k <= n_columns)
        monkeypatch.setattr(nearest, "GROUP", 1)
    monkeypatch.setattr(scores, "BLOCK_ELEMENTS", 100)
    monkeypatch.setattr(scores, "LARGEST_BLOCK", 200)
    monkeypatch.setattr(retrieval, "CHUNK", 13)


@pytest.mark.parametrize("distance", ["euclidean", "cosine", "dot"])
@pytest.mark.parametrize("metric", [everything, top_only])
def test_leave_one_out_of_untied_embeddings(metric, distance, route):
    embeddings, labels = normal(30, 0), labels_of(30, 8)
    queries = embedded(embeddings, labels)
    relevant = labels[:, None] == labels
    d = oracles.distances(embeddings, embeddings, distance)
    assert_values(metric(distance=distance), queries, None, d, relevant, ~np.eye(30, dtype=bool))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("metric", [everything, top_only])
def test_ties_count_by_their_expected_value(metric, seed, route):
    embeddings, labels = grid(9, seed, side=3), labels_of(9, 3, seed)
    d = oracles.distances(embeddings, embeddings)
    assert_values(
        metric(),
        embedded(embeddings, labels),
        None,
        d,
        labels[:, None] == labels,
        ~np.eye(9, dtype=bool),
    )


@pytest.mark.parametrize("metric", [everything, top_only])
@pytest.mark.parametrize("with_gallery", [False, True])
def test_relevance_of_the_loss(metric, with_gallery, route):
    """At least two labels in common, of samples and, by a table, of classes; one in common is not enough."""
    kinds = torch.rand(6, 4, generator=torch.Generator().manual_seed(0)) < 0.6
    embeddings, classes = normal(30, 0), labels_of(30, 6)
    kinds_of = kinds[classes].numpy().astype(int)
    relevant = kinds_of @ kinds_of.T >= 2
    queries = slice(0, 12) if with_gallery else slice(None)
    items = slice(12, None) if with_gallery else slice(None)
    d = oracles.distances(embeddings[queries], embeddings[items])
    allowed = np.ones(d.shape, dtype=bool) if with_gallery else ~np.eye(30, dtype=bool)
    search = "gallery" if with_gallery else "queries"
    of_samples = MultiLabel(share=2)
    of_classes = LabelsByClass(kinds.int().tolist(), of_samples)
    for relevance, labels in ((of_samples, kinds[classes].int()), (of_classes, classes)):
        queried, gallery = embedded(embeddings[queries], labels[queries]), embedded(embeddings[items], labels[items])
        judged = metric(relevance=relevance, search=search)
        assert_values(judged, queried, gallery if with_gallery else None, d, relevant[queries, items], allowed)


@pytest.mark.parametrize("metric", [everything, top_only])
def test_all_duplicates(metric, route):
    embeddings, labels = torch.full((7, 3), 0.3), torch.tensor([0, 0, 0, 1, 1, 2, 3])
    d = np.zeros((7, 7))
    assert_values(
        metric(),
        embedded(embeddings, labels),
        None,
        d,
        labels[:, None] == labels,
        ~np.eye(7, dtype=bool),
    )


@pytest.mark.parametrize("metric", [everything, top_only])
def test_queries_in_a_gallery(metric, route):
    queries, gallery = (
        embedded(grid(12, 1), labels_of(12, 5, 1)),
        embedded(grid(8, 2), labels_of(8, 4, 2)),
    )
    d = oracles.distances(queries.embeddings, gallery.embeddings)
    values = assert_values(
        metric(search="gallery"),
        queries,
        gallery,
        d,
        queries.labels[:, None] == gallery.labels,
        np.ones((12, 8), bool),
    )
    figures = metric(search="gallery").evaluate(queries, gallery)
    left_out = values["map_at_r"].isnan()
    assert figures["queries_without_relevant"] == left_out.sum() > 0
    assert figures["map_at_r"] == pytest.approx(float(values["map_at_r"][~left_out].mean()))


def test_queries_that_are_in_the_gallery_are_known_by_index():
    gallery = EmbeddedSet(normal(20, 3), labels_of(20, 4), torch.randperm(20))
    some = torch.tensor([3, 17, 5])
    queries = EmbeddedSet(gallery.embeddings[some], gallery.labels[some], gallery.indices[some])
    alone = everything().values(gallery)
    for name, value in everything(search="gallery_without_own").values(queries, gallery).items():
        torch.testing.assert_close(value, alone[name][some], equal_nan=True, rtol=0, atol=1e-12)
    stranger = queries._replace(indices=torch.tensor([30, 31, 32]))
    assert everything(search="gallery_without_own").evaluate(stranger, gallery)["precision_at_1"] == 1.0


@pytest.mark.parametrize("of_group", ["relevant", "all"])
@pytest.mark.parametrize("metric", [everything, top_only])
def test_the_own_group_is_left_out(metric, of_group, route):
    queries = embedded(normal(14, 4), labels_of(14, 4, 1), labels_of(14, 3, 2))
    gallery = embedded(normal(17, 5), labels_of(17, 4, 3), labels_of(17, 3, 4))
    relevant = queries.labels[:, None] == gallery.labels
    hidden = queries.groups[:, None] == gallery.groups
    if of_group == "relevant":
        hidden = hidden & relevant
    d = oracles.distances(queries.embeddings, gallery.embeddings)
    assert_values(metric(search="gallery", skip_group=of_group), queries, gallery, d, relevant, ~hidden)


def test_several_labels_a_sample(route):
    embeddings = normal(20, 6)
    labels = torch.rand(20, 5, generator=torch.Generator().manual_seed(1)) < 0.2
    relevant = (labels[:, None] & labels).any(-1)
    d = oracles.distances(embeddings, embeddings)
    assert_values(everything(), embedded(embeddings, labels), None, d, relevant, ~np.eye(20, dtype=bool))


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@pytest.mark.parametrize("duplicates", [False, True])
def test_perfect_embeddings_give_exactly_one(n_classes, duplicates):
    labels = torch.arange(3 * 7 * n_classes) % n_classes
    centres = torch.eye(n_classes)[labels]
    embeddings = centres if duplicates else centres + 1e-3 * normal(len(labels), 0, n_classes)
    metric = RetrievalMetrics(precision_at=(1, 5), recall_at=(1, 9), ndcg_at=(1, 7, 50), full_ranking=True)
    figures = metric.evaluate(embedded(embeddings, labels))
    assert figures.pop("queries_without_relevant") == 0
    assert set(figures.values()) == {1.0}


def test_the_top_route_equals_the_sorted_one_on_a_large_gallery():
    labels = torch.arange(3000) // 5
    embeddings = normal(600, 0, 8)[labels] + 0.7 * normal(3000, 1, 8)
    embeddings[50:90] = embeddings[50]  # ties at the end of the top
    queries = embedded(embeddings, labels)
    top, whole = top_only().values(queries), everything().values(queries)
    for name, value in top.items():
        assert torch.equal(value, whole[name]), name
    assert 0.05 < float(top["map_at_r"].mean()) < 0.95


def test_torchmetrics_agrees_on_untied_data():
    embeddings, labels = normal(40, 8), labels_of(40, 4, 5)
    queries = embedded(embeddings, labels)
    values = everything().values(queries)
    for i in range(40):
        others = torch.arange(40) != i
        score = torch.exp(-(embeddings - embeddings[i]).norm(dim=1)[others])  # it wants positive scores
        target = labels[others] == labels[i]
        expected = {
            "precision_at_4": retrieval_precision(score, target, top_k=4),
            "recall_at_3": retrieval_hit_rate(score, target, top_k=3),
            "ndcg_at_4": retrieval_normalized_dcg(score, target.long(), top_k=4),
            "r_precision": retrieval_r_precision(score, target),
            "mean_average_precision": retrieval_average_precision(score, target),
            "mean_reciprocal_rank": retrieval_reciprocal_rank(score, target),
        }
        for name, value in expected.items():
            assert float(values[name][i]) == pytest.approx(float(value), abs=1e-5), name


def test_nothing_relevant_and_nothing_at_all():
    figures = everything().evaluate(embedded(normal(4, 0), torch.arange(4)))
    assert figures.pop("queries_without_relevant") == 4
    assert all(math.isnan(value) for value in figures.values())
    empty = everything().evaluate(embedded(torch.empty(0, 3), torch.empty(0, dtype=torch.int64)))
    assert empty.keys() == figures.keys() | {"queries_without_relevant"}
    no_gallery = embedded(torch.empty(0, 5), torch.empty(0, dtype=torch.int64))
    figures = everything(search="gallery").evaluate(embedded(normal(4, 0), torch.arange(4)), no_gallery)
    assert figures["queries_without_relevant"] == 4
    assert everything(search="gallery").evaluate(embedded(normal(4, 0), torch.arange(4))) == {}


def test_duplicates_tie_wherever_they_stand():
    """A matrix product alone may round the same embedding differently at its edges."""
    gallery = normal(1003, 0, 37) * 100
    labels = torch.arange(1003)
    gallery[::2] = gallery[0]
    queries = embedded(normal(5, 1, 37) * 100, torch.zeros(5, dtype=torch.int64))
    ranks = scores.Scores(queries.embeddings, gallery).block(torch.arange(5))
    assert all(len(row.unique()) == 1 for row in ranks[:, ::2])
    value = RetrievalMetrics(search="gallery").values(queries, embedded(gallery, labels))["precision_at_1"]
    assert all(v in (0.0, pytest.approx(1 / 502)) for v in value.tolist())


def test_clusters_far_from_the_origin_and_extreme_scales():
    labels = torch.arange(40) % 4
    shape = torch.eye(4)[labels] + 0.1 * normal(40, 0, 4)
    for embeddings in (1e-3 * shape + 7.3, 1e-25 * shape, 1e25 * shape):
        assert RetrievalMetrics().evaluate(embedded(embeddings, labels))["map_at_r"] == 1.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    embeddings, labels = normal(30, 1).to(dtype), labels_of(30, 3)
    expected = RetrievalMetrics().evaluate(embedded(embeddings.double(), labels))
    assert RetrievalMetrics().evaluate(embedded(embeddings, labels)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision_at": (0,)}, "precision_at="),
        ({"search": "somewhere"}, "search="),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RetrievalMetrics(**arguments)


def test_bad_sets():
    labels = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match="aren't finite"):
        RetrievalMetrics().evaluate(embedded(torch.tensor([[1.0], [math.nan], [0.0]]), labels))
    with pytest.raises(ValueError, match="distance='manhattan'"):
        RetrievalMetrics(distance="manhattan").evaluate(embedded(torch.zeros(3, 1), labels))
    with pytest.raises(ValueError, match="groups"):
        metric = RetrievalMetrics(search="gallery")
        metric.evaluate(embedded(torch.zeros(3, 1), labels, labels), embedded(torch.zeros(3, 1), labels))


def test_described_and_pickled():
    metric = RetrievalMetrics(precision_at=(1, 2))
    assert describe(metric)["init_args"] == {"precision_at": [1, 2]}
    assert describe(metric.clone()) == describe(metric)


@pytest.mark.parametrize("n_tied", [4, 5, 6, 40])
def test_ties_at_the_end_of_the_top(n_tied):
    """A tie that reaches below what the top holds is counted whole."""
    embeddings, labels = torch.zeros(3000, 2), torch.arange(3000) // 5
    embeddings[:, 0] = torch.arange(3000) + 1.0
    embeddings[:n_tied, 0], embeddings[2000, 0] = 0.0, 1.0  # of one query: n_tied - 1 tied ones, then one
    queries = embedded(embeddings, labels)
    top, whole = top_only().values(queries), everything().values(queries)
    for name, value in top.items():
        assert torch.equal(value, whole[name]), name

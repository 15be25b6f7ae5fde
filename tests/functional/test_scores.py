import pytest
import torch

from metric_lightning.functional.scores import Scores, different_rows


@pytest.mark.parametrize("distance", ["euclidean", "cosine", "dot"])
def test_scores_rank_as_distances_do(distance):
    queries, gallery = torch.randn(5, 4), torch.randn(30, 4)
    distances = {
        "euclidean": torch.cdist(queries, gallery),
        "cosine": 1 - torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(gallery).t(),
        "dot": -queries @ gallery.t(),
    }[distance]
    block = Scores(queries, gallery, distance).block(torch.tensor([4, 0]))
    assert torch.equal(block.argsort(dim=1, descending=True), distances[[4, 0]].argsort(dim=1))


def test_zero_rows_keep_cosine_zero():
    block = Scores(torch.eye(2), torch.tensor([[0.0, 0.0], [3.0, 0.0]]), "cosine").block(torch.arange(2))
    assert block.tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_different_rows():
    rows = torch.tensor([[1.0, 0.0], [2.0, 1.0], [1.0, -0.0], [2.0, 1.0], [0.0, 5.0]])
    different, place = different_rows(rows)
    assert len(different) == 3 and torch.equal(different[place], rows)
    for distinct in (rows[:2], rows[:0], rows[:1]):
        same, none = different_rows(distinct)
        assert none is None and torch.equal(same, distinct)


def test_bad_input():
    with pytest.raises(ValueError, match=r"queries \(2, 3\) and gallery \(2, 4\)"):
        Scores(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="1 of 2 rows of gallery aren't finite"):
        Scores(torch.zeros(2, 1), torch.tensor([[1.0], [torch.inf]]))

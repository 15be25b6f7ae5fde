import pytest
import torch

from metric_lightning.functional.nearest import nearest


@pytest.mark.parametrize("n_columns", [40, 1000, 4001])
@pytest.mark.parametrize("k", [0, 1, 7])
@pytest.mark.parametrize("n_values", [3, 10**6])
def test_equals_a_sort(n_columns, k, n_values):
    scores = torch.randint(n_values, (9, n_columns)).float()
    scores[torch.rand(scores.shape) < 0.1] = -torch.inf
    values, columns = nearest(scores, k)
    assert torch.equal(values, scores.sort(dim=1, descending=True).values[:, :k])
    assert torch.equal(scores.gather(1, columns), values)
    assert all(len(set(row.tolist())) == k for row in columns)


@pytest.mark.parametrize("k", [-1, 4])
def test_bad_k(k):
    with pytest.raises(ValueError, match=f"k={k}"):
        nearest(torch.zeros(2, 3), k)

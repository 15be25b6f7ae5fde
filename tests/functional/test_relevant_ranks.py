import pytest
import torch

from metric_lightning.functional.relevant_ranks import cut_ties, rank_among, relevant_ranks


def slow(scores, columns):
    """(item, counts) for each relevant item of each row."""
    found = []
    for row, relevant in zip(scores, columns, strict=True):
        values = [row[c] for c in relevant.tolist() if c >= 0 and row[c] > -torch.inf]
        own = torch.stack(values) if values else torch.empty(0)
        found.append(
            sorted(
                (int((row > v).sum()), int((row == v).sum()), int((own > v).sum()), int((own == v).sum())) for v in own
            )
        )
    return found


def as_lists(ranks):
    """The counts with ranks of ties between relevant items only taken back."""
    found = []
    for valid, *counts in zip(*ranks, strict=True):
        found.append(list(zip(*(count[valid].tolist() for count in counts), strict=True)))
    return found


def pure_apart(expected):
    for row in expected:
        for i, (closer, tied, closer_own, tied_own) in enumerate(row):
            if tied == tied_own:
                row[i] = (closer + i - closer_own, 1, i, 1)
    return expected


@pytest.mark.parametrize("n_values", [2, 30, 400, 10**6])
@pytest.mark.parametrize("n_columns", [1, 50, 700])
def test_counts_equal_a_loop(n_values, n_columns):
    """From nothing but ties, through few of them (found by bisection), to none."""
    scores = torch.randint(n_values, (12, n_columns)).float()
    columns = torch.stack([torch.randperm(n_columns)[: min(20, n_columns)] for _ in range(12)])
    columns[torch.rand(columns.shape) < 0.2] = -1
    scores[torch.rand(scores.shape) < 0.1] = -torch.inf
    expected = pure_apart(slow(scores, columns))
    assert as_lists(relevant_ranks(scores.clone(), columns)) == expected


def test_no_place_and_no_item():
    assert relevant_ranks(torch.rand(3, 4), torch.empty(3, 0, dtype=torch.int64)).n_relevant.tolist() == [0, 0, 0]
    assert relevant_ranks(torch.rand(0, 4), torch.empty(0, 2, dtype=torch.int64)).valid.shape == (0, 2)
    assert relevant_ranks(torch.rand(2, 3), torch.full((2, 2), -1)).n_relevant.tolist() == [0, 0]


def test_a_top_gives_the_ranks_of_the_row_up_to_its_depth():
    scores, depth = torch.randint(60, (200, 80)).float().sort(dim=1).values, 6
    relevant = torch.stack([row[torch.randperm(80)[:5]] for row in scores]).sort(dim=1).values
    last = scores[:, -depth - 1 :].contiguous()
    whole, top = rank_among(relevant, scores), rank_among(relevant, last, depth)
    cut = cut_ties(relevant, last, depth)
    assert 10 < int(cut.sum()) < 190
    matters = (whole.closer < depth) & ~cut[:, None]
    for exact, found in zip(whole, top, strict=True):
        assert torch.equal(exact[matters], found[matters])
    assert (top.closer[~matters & ~cut[:, None]] >= depth).all()

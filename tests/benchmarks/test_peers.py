"""The table in the documentation is what its checks say, on this machine too."""

from pathlib import Path

import pytest

pytest.importorskip("pytorch_metric_learning", reason="the peer is not installed")
from benchmarks.peer_checks import checks, outcome  # noqa: E402
from benchmarks.peers import training  # noqa: E402

KEPT = Path(__file__).parents[2] / "docs" / "measured" / "peers.md"


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.asked)
def test_every_cell_is_what_the_check_says(check):
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in KEPT.read_text().splitlines()]
    (row,) = [row for row in rows if row[0] == check.asked]
    assert row[1:] == [outcome(check.ours), outcome(check.theirs)]


def test_an_exception_becomes_a_cell():
    def fails() -> str:
        raise IndexError

    assert outcome(fails) == "IndexError"


@pytest.mark.slow
def test_all_sides_are_trained():
    table = training(seeds=1, epochs=1, device="cpu").splitlines()
    assert len(table) == 6
    assert all(line.count("|") == 6 and "nan" not in line for line in table)

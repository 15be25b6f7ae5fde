"""The benchmark of a training step runs; what it measures is for a quiet machine to say."""

import os
import sys

import pytest

from benchmarks.training_step import LOSSES, cost_of_mining, share_outside


def test_every_loss_is_measured_beside_the_plain_step() -> None:
    found = cost_of_mining(rounds=1, warm_up=0)
    assert list(found) == ["plain cross-entropy", *LOSSES]
    assert all(milliseconds > 0 and ratio > 0 for milliseconds, ratio in found.values())


def test_share_of_the_trainer_is_measured_in_a_fit_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["training_step"])
    monkeypatch.setenv("PL_GLOBAL_SEED", os.environ.get("PL_GLOBAL_SEED", "0"))  # put back afterwards
    before = os.getcwd()
    whole, bare, share = share_outside("online_triplet_all", epochs=1, warm_up=0)
    assert whole > 0 and bare > 0 and share < 1
    assert os.getcwd() == before

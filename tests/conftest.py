"""Every test runs on one thread, from one seed, without a display."""

import logging
import os
import random

# Before torch is imported; child processes inherit both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a test's random numbers, threads and messages independent of which tests ran before it."""
    torch.set_num_threads(1)  # a benchmark may have asked for more; a forked rank with several hangs
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO)  # Lightning's own; a page or benchmark may hush it
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)  # what `seed_everything` leaves behind
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)

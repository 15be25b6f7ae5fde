"""A rank that dies stops the others, in a sentence."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from metric_lightning.errors import UserError
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules.ranks import loss_over_ranks

SECONDS = 12


def _rank(rank: int, folder: str, silent: bool) -> None:
    torch.set_num_threads(1)
    limit = timedelta(seconds=SECONDS)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=limit)
    loss, embeddings, labels = TripletMarginLoss(), torch.randn(4, 2, requires_grad=True), torch.tensor([0, 0, 1, 1])
    loss_over_ranks(loss, embeddings, labels)[0].backward()
    if rank == 1:
        if silent:
            time.sleep(10 * SECONDS)
        os._exit(1)
    try:
        loss_over_ranks(loss, embeddings, labels)
    except UserError as error:
        Path(folder, "said").write_text(str(error))


@pytest.mark.parametrize("silent", [False, True], ids=["died", "hangs"])
def test_the_others_stop_within_the_timeout_and_say_why(silent, tmp_path):
    context = mp.get_context("fork")
    processes = [context.Process(target=_rank, args=(rank, str(tmp_path), silent)) for rank in range(2)]
    for process in processes:
        process.start()
    processes[0].join(3 * SECONDS)
    stopped = processes[0].exitcode
    for process in processes:
        process.kill()
        process.join()
    assert stopped == 0
    assert "rank 0 of 2 can't reach the others" in (tmp_path / "said").read_text()

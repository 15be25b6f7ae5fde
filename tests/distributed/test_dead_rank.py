"""A rank that dies stops the others, in a sentence."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from metric_lightning.command_line.failures import sentence_of
from metric_lightning.data import PlainBatches
from metric_lightning.errors import UserError
from metric_lightning.losses import SoftmaxLoss, TripletMarginLoss
from metric_lightning.modules import ClassificationModule
from metric_lightning.modules.collect import Collector
from metric_lightning.modules.random_state import random_states_of_ranks
from metric_lightning.modules.ranks import loss_over_ranks
from tests.distributed.ranks import free_port, tell_as_torchrun
from tests.distributed.small_run import SmallData, SmallNet, trainer

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


TALKS = {"evaluation": lambda: Collector().finish(), "checkpoint": random_states_of_ranks}


def _talking_rank(rank: int, folder: str, talk: str) -> None:
    limit = timedelta(seconds=SECONDS)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=limit)
    TALKS[talk]()
    if rank == 1:
        os._exit(1)
    try:
        TALKS[talk]()
    except Exception as error:
        Path(folder, "said").write_text(f"{type(error).__name__}: {error}")


@pytest.mark.parametrize("talk", TALKS)
def test_a_rank_lost_before_the_others_gather_what_it_has(talk, tmp_path):
    said = _what_rank_0_says(_talking_rank, tmp_path, talk)
    assert said.startswith("UserError: rank 0 of 2 can't reach the others: ")


class Mortal(ClassificationModule):
    """Its rank 1 goes away in the third backward pass, where gradients are being averaged already."""

    silent = False

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.network.layers[:3](inputs)  # type: ignore[index]
        if hidden.requires_grad and self.global_rank == 1 and self.global_step == 2:
            hidden.register_hook(self._go)
        return self.head(self.network.layers[3:](hidden))  # type: ignore[index]

    def _go(self, gradient: Tensor) -> None:
        if self.silent:
            time.sleep(10 * SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)


def _fitting_rank(rank: int, folder: str, silent: bool, port: int) -> None:
    torch.set_num_threads(1)
    tell_as_torchrun(rank, 2, folder, port)
    module = Mortal(SmallNet(), SoftmaxLoss())
    module.silent = silent
    # A bucket for each layer, as large networks have them: the last layer's gradients go out before the first's.
    strategy = DDPStrategy(timeout=timedelta(seconds=SECONDS), bucket_cap_mb=1e-5)
    run = trainer(folder, max_epochs=-1, max_steps=5, strategy=strategy, devices=2)
    try:
        run.fit(module, SmallData(PlainBatches(8)))
    except Exception as error:
        Path(folder, "said").write_text(f"{type(error).__name__} at {run.global_step}: {sentence_of(error) or error}")


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize("silent", [False, True], ids=["died", "hangs"])
def test_a_rank_lost_in_the_backward_pass_of_fit(silent, tmp_path):
    said = _what_rank_0_says(_fitting_rank, tmp_path, silent, free_port())
    assert said.startswith("UserError at 2: rank 0 of 2 can't reach the others: ")


@pytest.mark.parametrize("silent", [False, True], ids=["died", "hangs"])
def test_the_others_stop_within_the_timeout_and_say_why(silent, tmp_path):
    assert "rank 0 of 2 can't reach the others" in _what_rank_0_says(_rank, tmp_path, silent)


def _what_rank_0_says(work: Any, tmp_path: Path, *arguments: Any) -> str:
    context = mp.get_context("fork")
    processes = [context.Process(target=work, args=(rank, str(tmp_path), *arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    processes[0].join(3 * SECONDS)
    stopped = processes[0].exitcode
    for process in processes:
        process.kill()
        process.join()
    assert stopped == 0
    return (tmp_path / "said").read_text()

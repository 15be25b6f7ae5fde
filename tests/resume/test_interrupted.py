"""SIGTERM, full disks, files cut short."""

import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from lightning.pytorch import Callback, Trainer

from metric_lightning.callbacks.whole_files import WholeFiles
from metric_lightning.checkpoints import newest_checkpoint, read_checkpoint, write_checkpoint
from metric_lightning.errors import UserError
from tests.resume.killed_run import EPOCH, in_a_process
from tests.resume.test_killed import end_of, same

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")


class Terminate(Callback):
    """SIGTERM within a step, or during validation."""

    def __init__(self, step: int, hook: str, rank: int = 0):
        self.step = step
        self.rank = rank
        setattr(self, hook, self._terminate)

    def _terminate(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    "step,hook", [(4, "on_before_optimizer_step"), (EPOCH, "on_validation_start"), (EPOCH - 1, "on_train_batch_start")]
)
def test_sigterm_writes_a_checkpoint_and_stops(step, hook, tmp_path, capfd):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert in_a_process(whole, 0, [], None) == 0
    # Nothing is written within an epoch but for the signal.
    assert in_a_process(stopped, 0, [Terminate(step, hook)], None, every_steps=None) == 128 + signal.SIGTERM
    reached = EPOCH if step >= EPOCH - 1 else step + 1
    assert read_checkpoint(stopped / "last.ckpt")["global_step"] == reached
    written = capfd.readouterr()
    assert f"SIGTERM: stopped after step {reached}; go on with --ckpt_path" in written.out + written.err
    assert in_a_process(stopped, 0, [], stopped / "last.ckpt") == 0
    same(end_of(stopped)["weights"], end_of(whole)["weights"])


def test_sigterm_to_one_rank_stops_all(tmp_path):
    """And the run goes on bit by bit on two ranks, the dropout of each included."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    ranks = {"strategy": "ddp_fork", "devices": 2}
    assert in_a_process(whole, 0, [], None, **ranks) == 0
    assert (
        in_a_process(stopped, 0, [Terminate(4, "on_train_batch_start", rank=1)], None, every_steps=None, **ranks) != 0
    )
    assert read_checkpoint(stopped / "last.ckpt")["global_step"] == 5
    assert in_a_process(stopped, 0, [], stopped / "last.ckpt", **ranks) == 0
    same(end_of(stopped)["weights"], end_of(whole)["weights"])


def test_a_file_cut_short_is_refused_and_the_previous_named(tmp_path):
    older, newer = tmp_path / "epoch=1.ckpt", tmp_path / "last.ckpt"
    write_checkpoint({"state_dict": {"weight": torch.zeros(1000)}}, older)
    write_checkpoint({"state_dict": {"weight": torch.ones(1000)}}, newer)
    os.utime(older, (1, 1))
    assert newest_checkpoint(tmp_path) == newer
    whole = newer.read_bytes()
    for size in (0, 1, 1000, len(whole) - 1):
        newer.write_bytes(whole[:size])
        beginnings = {0: "is empty and no checkpoint", 1: "is no checkpoint: it is no file that torch.save writes"}
        fault = beginnings.get(size, "can't be read .* cut short or damaged")
        with pytest.raises(UserError, match=rf"last.ckpt {fault}; the newest whole one is .*epoch=1.ckpt"):
            read_checkpoint(newer)
        with pytest.raises(UserError, match="the newest whole one is"):
            WholeFiles().load_checkpoint(newer, weights_only=True)
        assert newest_checkpoint(tmp_path) == older


def test_a_full_disk_loses_nothing(tmp_path):
    path = tmp_path / "last.ckpt"
    write_checkpoint({"state_dict": {"weight": torch.zeros(1000)}}, path)
    before = path.read_bytes()
    process = mp.get_context("fork").Process(target=_write_with_little_room, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def _write_with_little_room(path: Path) -> None:
    # The kernel ends a write at this size as it does on a full disk.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    for elements in (60_000, 1_000_000):
        with pytest.raises(UserError, match=r"last.ckpt can't be written \(.*\); the last one, .*last.ckpt, is whole"):
            write_checkpoint({"state_dict": {"weight": torch.ones(elements)}}, path)


def test_what_a_killed_process_left_is_no_checkpoint_and_goes(tmp_path):
    path = tmp_path / "last.ckpt"
    process = mp.get_context("fork").Process(target=_die_while_writing, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1 and newest_checkpoint(tmp_path) is None
    write_checkpoint({"state_dict": {}}, path)
    assert list(tmp_path.iterdir()) == [path]


def _die_while_writing(path: Path) -> None:
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    write_checkpoint({"state_dict": {"weight": torch.ones(1000)}}, path)

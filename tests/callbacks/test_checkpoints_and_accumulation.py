"""No checkpoint is written while gradients are gathered: a run that goes on from one would lose them."""

import signal
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

from metric_lightning.callbacks import BestCheckpoint
from metric_lightning.checkpoints import newest_checkpoint, read_checkpoint
from metric_lightning.data import BalancedBatches
from metric_lightning.errors import UserError
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from tests.distributed.small_run import SmallData, SmallNet
from tests.resume.killed_run import Kill, in_a_process
from tests.resume.test_interrupted import Terminate
from tests.resume.test_killed import end_of, same


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("every", "fits"), [(3, False), ("00:00:01:00", False), (2, True), (1.0, True)])
def test_validation_comes_between_steps_or_is_refused(tmp_path, every, fits):
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        callbacks=[BestCheckpoint()],
        max_epochs=1,
        limit_train_batches=4,
        accumulate_grad_batches=2,
        val_check_interval=every,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    module = EmbeddingModule(SmallNet(), TripletMarginLoss())
    data = SmallData(BalancedBatches(n_classes=2, n_samples=2))
    if fits:
        trainer.fit(module, data)
        assert trainer.global_step == 2
    else:
        with pytest.raises(UserError, match="comes (every 3 batches|by time), but gradients are gathered over 2: "):
            trainer.fit(module, data)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("every", "batches", "fits"), [(3, 4, False), (2, 3, False), (2, 4, True), (3, 3, True)])
def test_validation_that_is_counted_over_epochs(tmp_path, every, batches, fits):
    """Steps are counted within an epoch, whose last batch always makes one."""
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        callbacks=[BestCheckpoint()],
        max_epochs=2,
        limit_train_batches=batches,
        accumulate_grad_batches=2,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    module = EmbeddingModule(SmallNet(), TripletMarginLoss())
    data = SmallData(BalancedBatches(n_classes=2, n_samples=2))
    if fits:
        trainer.fit(module, data)
        assert trainer.global_step == 4
    else:
        with pytest.raises(UserError, match=f"every {every} batches, but gradients are gathered over 2"):
            trainer.fit(module, data)


# Six batches are three steps.
OPTIONS = {"accumulate_grad_batches": 2, "val_check_interval": 4}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert in_a_process(folder, 0, [], None, **OPTIONS) == 0
    return folder


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("step", "hook"),
    [
        (1, "on_train_batch_end"),
        (4, "on_train_batch_start"),
        (5, "on_before_optimizer_step"),
        (5, "on_validation_start"),
        (8, "on_validation_end"),
        (6, "on_train_epoch_end"),
    ],
)
def test_killed_while_gradients_are_gathered_and_resumed_ends_the_same(step, hook, tmp_path, whole):
    assert in_a_process(tmp_path, 0, [Kill(step, hook)], None, **OPTIONS) == -signal.SIGKILL
    assert in_a_process(tmp_path, 0, [], newest_checkpoint(tmp_path), **OPTIONS) == 0
    for part in ("weights", "optimizers"):
        same(end_of(tmp_path)[part], end_of(whole)[part])


class TerminateBetween(Terminate):
    """SIGTERM before the second batch of a step."""

    def _terminate(self, trainer: Trainer, *arguments: object, **_: object) -> None:
        if arguments[-1] % 2 == 1:
            super()._terminate(trainer)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [Terminate, TerminateBetween])
def test_sigterm_while_gradients_are_gathered_stops_after_the_step(kind, tmp_path, whole):
    stop = kind(4, "on_train_batch_start")
    assert in_a_process(tmp_path, 0, [stop], None, every_steps=None, **OPTIONS) == 128 + signal.SIGTERM
    last = read_checkpoint(tmp_path / "last.ckpt")
    assert last["global_step"] == 5
    assert last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"] % 2 == 0
    assert in_a_process(tmp_path, 0, [], tmp_path / "last.ckpt", **OPTIONS) == 0
    for part in ("weights", "optimizers"):
        same(end_of(tmp_path)[part], end_of(whole)[part])

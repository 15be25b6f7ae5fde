"""Loaders: positions, workers, ranks, and resuming under a real Lightning Trainer."""

import gc
import multiprocessing
import time

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torchvision.transforms import v2

from metric_lightning.data import (
    ArrayDataset,
    BalancedBatches,
    Batch,
    EvaluationLoader,
    EvaluationSampler,
    MetricDataModule,
    PairBatches,
    PlainBatches,
    TrainingLoader,
    TripletBatches,
)

LABELS = torch.arange(40) % 4
workers = pytest.mark.parametrize("num_workers", [0, 2])
strategies = pytest.mark.parametrize(
    "strategy",
    [PlainBatches(6), PairBatches(6), TripletBatches(6), BalancedBatches(3, 2)],
    ids=["plain", "pairs", "triplets", "balanced"],
)


def some_data() -> ArrayDataset:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8, generator=random)
    return ArrayDataset(images, LABELS, list("abcd"))


class SomeData(MetricDataModule):
    def __init__(self, batches, num_workers=0, augment=None):
        super().__init__(list("abcd"), (1, 4, 4), batches, num_workers=num_workers, augment=augment, seed=3)

    def load(self):
        return some_data(), None


def loader(strategy, num_workers: int = 0, augment: bool = False, **options) -> TrainingLoader:
    data = some_data()
    if augment:
        data = data.augmented([v2.RandomAffine(90)])
    return TrainingLoader(data, strategy.sampler(LABELS, seed=1, **options), num_workers)


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b) for one, other in zip(left, right, strict=True) for a, b in zip(one, other, strict=True)
    )


@strategies
def test_workers_change_nothing(strategy):
    for_none, for_two = (loader(strategy, workers, augment=True) for workers in (0, 2))
    for _ in range(2):
        here, there = list(for_none), list(for_two)
        assert len(here) == len(for_none) and same(here, there)


@strategies
@workers
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_resuming_gives_the_very_batches(strategy, num_workers, stop):
    whole = loader(strategy, augment=True)
    whole.set_epoch(5)
    expected = [*whole, *whole]
    broken = loader(strategy, num_workers, augment=True)
    broken.set_epoch(5)
    batches = iter(broken)
    first = [next(batches) for _ in range(stop)]
    resumed = loader(strategy, num_workers, augment=True)
    resumed.load_state_dict(broken.state_dict())
    resumed.set_epoch(5)  # as Lightning does
    place = {"epoch": 5, "batches_done": stop, "world_size": 1, "batch_size": strategy.batch_size}
    assert resumed.state_dict() == place
    assert same([*first, *resumed, *resumed], expected)


@workers
def test_a_pass_that_was_broken_off_starts_again(num_workers):
    some = loader(PlainBatches(6), num_workers)
    first = next(iter(some))
    assert same([first], [next(iter(some))])
    assert some.state_dict()["epoch"] == 0
    assert same(list(some), list(loader(PlainBatches(6))))
    assert some.state_dict() == {"epoch": 1, "batches_done": 0, "world_size": 1, "batch_size": 6}


def test_set_epoch_between_iter_and_the_first_batch_counts():
    some, expected = loader(PlainBatches(6)), loader(PlainBatches(6))
    batches = iter(some)
    some.set_epoch(2)
    expected.set_epoch(2)
    assert same(list(batches), list(expected))


def test_a_position_fits_another_number_of_ranks():
    sampler = PlainBatches(2).sampler(LABELS, rank=1, world_size=2)
    sampler.load_state_dict({"epoch": 3, "batches_done": 7, "world_size": 1})
    single = PlainBatches(2).sampler(LABELS)
    single.set_epoch(3)
    # Three whole rounds of two: batches 0 to 5 are done, rank 1 goes on with 7.
    assert next(iter(sampler)) == list(single)[7]


def test_a_position_fits_another_batch_size():
    before = PlainBatches(2).sampler(LABELS, rank=1, world_size=2)
    batches = iter(before)
    for _ in range(3):
        next(batches)
    single, after = PlainBatches(4).sampler(LABELS), PlainBatches(4).sampler(LABELS)
    after.load_state_dict(before.state_dict())
    assert list(after) == list(single)[3:]


def test_a_position_at_an_epochs_end_is_the_next_epoch_whatever_it_is_called():
    sampler, expected = PlainBatches(20).sampler(LABELS), PlainBatches(20).sampler(LABELS)
    sampler.load_state_dict({"epoch": 3, "batches_done": 2, "world_size": 1})
    # Lightning calls it 3 or 5, and does so twice.
    sampler.set_epoch(3)
    sampler.set_epoch(5)
    for number in (4, 5):
        expected.set_epoch(number)
        assert list(sampler) == list(expected)
        sampler.set_epoch(number + 2)


def test_workers_end_with_their_loader_even_in_a_reference_cycle():
    some = loader(PlainBatches(6), num_workers=2)
    batches = iter(some)
    next(batches)
    workers_of = multiprocessing.active_children()
    cycle = {"some": some, "batches": batches}
    cycle["self"] = cycle
    del some, batches, cycle
    start = time.monotonic()
    gc.collect()
    # Workers that aren't told to end are waited for, 5 seconds each.
    assert time.monotonic() - start < 8
    assert not any(worker.is_alive() and worker.exitcode is None for worker in workers_of)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [0, 1, 4, 5, 11, 12, 13])
def test_evaluation_shards_hold_each_sample_once(size, world_size):
    data = some_data().subset(range(size))
    shards = [
        EvaluationLoader(data, EvaluationSampler(size, batch_size=2, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    batches = [list(shard) for shard in shards]
    assert len({len(shard) for shard in batches}) == 1
    assert [len(shard) for shard in batches] == [len(shard) for shard in shards]
    seen = [int(i) for shard in batches for batch in shard for i in batch.indices]
    assert sorted(seen) == list(range(size))
    assert all(len(batch.indices) <= 2 for shard in batches for batch in shard)
    for rank, shard in enumerate(batches):
        seen = [int(i) for batch in shard for i in batch.indices]
        assert seen == list(range(rank, size, world_size))


class Stop(Callback):
    """Saves a checkpoint at a given step and place, and stops as a machine that dies."""

    def __init__(self, path, step: int, place: str):
        self.path = path
        self.step = step
        self.place = place

    def at(self, trainer, place: str) -> None:
        if trainer.global_step == self.step and place == self.place:
            trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt

    def on_train_batch_end(self, trainer, *_):
        self.at(trainer, "batch")

    def on_validation_end(self, trainer, *_):
        self.at(trainer, "validation")

    def on_train_epoch_end(self, trainer, *_):
        self.at(trainer, "epoch")


class Recorder(LightningModule):
    """Records the training batches it sees, by step."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(16, 2)
        self.seen: dict[int, Batch] = {}
        self.validated: list[int] = []

    def training_step(self, batch, batch_idx):
        assert isinstance(batch, Batch)
        self.seen[self.global_step] = batch
        return self.layer(batch.inputs.flatten(1)).square().mean()

    def validation_step(self, batch, batch_idx):
        self.validated += batch.indices.tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(strategy, num_workers=0, stop=None, resume=None, **limits) -> Recorder:
    module = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        callbacks=stop,
        **limits,
    )
    data = SomeData(strategy, num_workers, augment=[v2.RandomHorizontalFlip()])
    try:
        trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    except (KeyboardInterrupt, SystemExit):
        assert stop is not None
    return module


@strategies
@pytest.mark.parametrize("limits", [{"max_epochs": 3}, {"max_epochs": -1, "max_steps": 13}])
@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")
def test_a_run_resumed_by_lightning_sees_the_very_batches(tmp_path, strategy, limits):
    expected = fit(strategy, **limits)
    data = SomeData(strategy)
    data.setup()
    length = len(data.train_dataloader())
    places = [(2, "batch"), (length, "batch"), (length, "validation"), (length, "epoch")]
    places += [(length + 1, "batch"), (2 * length, "epoch"), (2 * length + 2, "batch")]
    for step, place in places:
        # Workers draw ahead; they start slowly, so not each place is tried with them.
        num_workers = 2 if step in (2, length + 1) or place == "validation" else 0
        path = tmp_path / f"{step}{place}.ckpt"
        stopped = fit(strategy, num_workers, Stop(path, step, place), **limits)
        assert sorted(stopped.seen) == list(range(step))
        resumed = fit(strategy, num_workers, resume=path, **limits)
        assert sorted(resumed.seen) == list(range(step, len(expected.seen))), (step, place)
        assert same(
            [resumed.seen[number] for number in sorted(resumed.seen)],
            [expected.seen[number] for number in sorted(resumed.seen)],
        ), (step, place)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")
def test_lightning_moves_through_epochs_and_validates_each_sample_once():
    module = fit(PlainBatches(7), max_epochs=3)
    data = SomeData(PlainBatches(7))
    data.setup()
    per_epoch = len(module.seen) // 3
    epochs = [
        [module.seen[step].indices.tolist() for step in range(i * per_epoch, (i + 1) * per_epoch)] for i in range(3)
    ]
    assert [sorted(sum(epoch, [])) for epoch in epochs] == [list(range(len(data.train_set)))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert module.validated == list(range(len(data.val_set))) * 3


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")
def test_overfitting_repeats_the_same_batches():
    module = fit(PlainBatches(7), max_epochs=2, overfit_batches=2)
    seen = [batch.indices.tolist() for batch in module.seen.values()]
    assert len(seen) == 4 and seen[:2] == seen[2:]

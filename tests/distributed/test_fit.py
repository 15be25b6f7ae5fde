"""`fit` on two ranks comes to the weights and figures of `fit` on one with twice the batch."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from metric_lightning.command_line.failures import sentence_of
from metric_lightning.data import BalancedBatches, BatchStrategy, PairBatches, PlainBatches, TripletBatches
from metric_lightning.losses import (
    ArcFaceLoss,
    ContrastiveLoss,
    CrossBatchMemory,
    ProxyAnchorLoss,
    SoftmaxLoss,
    TripletMarginLoss,
    WeightedSum,
)
from metric_lightning.miners import HardNegativePairs, RandomHardNegative
from metric_lightning.modules import (
    ClassificationModule,
    EmbeddingModule,
    MetricModule,
    SiameseModule,
    TripletModule,
)
from metric_lightning.modules.gather import gather_rows, row_counts
from tests.distributed.small_run import Sgd, SmallNet, fitted

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

Sized = Callable[[int], BatchStrategy]


def plain(size: int) -> BatchStrategy:
    return PlainBatches(8 * size)


def balanced(size: int) -> BatchStrategy:
    return BalancedBatches(n_classes=3, n_samples=3, draws_per_batch=size)


def remembering() -> MetricModule:
    loss = TripletMarginLoss(margin=0.5, miner=RandomHardNegative(seed=2))
    return EmbeddingModule(SmallNet(), CrossBatchMemory(loss, size=30), Sgd)


def summed() -> MetricModule:
    loss = WeightedSum([ArcFaceLoss(scale=8.0), TripletMarginLoss(margin=0.5)], [0.5, 1.0])
    return EmbeddingModule(SmallNet(), loss, Sgd, loss_lr_scale=3.0)


def shared(_: int) -> BatchStrategy:
    return BalancedBatches(n_classes=3, n_samples=4, shard=True)


METHODS: dict[str, tuple[Callable[[], MetricModule], Sized]] = {
    "memory": (remembering, balanced),
    "shared-batch": (remembering, shared),
    "sum": (summed, plain),
    "softmax": (lambda: ClassificationModule(SmallNet(), SoftmaxLoss(), Sgd), plain),
    "proxy-anchor": (lambda: EmbeddingModule(SmallNet(), ProxyAnchorLoss(scale=8.0), Sgd), plain),
    "global-miner": (
        lambda: EmbeddingModule(SmallNet(), ContrastiveLoss(margin=2.0, miner=HardNegativePairs()), Sgd),
        balanced,
    ),
    "siamese": (
        lambda: SiameseModule(SmallNet(), ContrastiveLoss(margin=2.0), Sgd),
        lambda size: PairBatches(9 * size),
    ),
    "triplet": (
        lambda: TripletModule(SmallNet(), TripletMarginLoss(margin=0.5, average="active"), Sgd),
        lambda size: TripletBatches(7 * size),
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_come_to_what_one_does_with_twice_the_batch(method, tmp_path):
    make, batches = METHODS[method]
    one, two = make(), make()
    single = fitted(one, batches(2), tmp_path, max_epochs=-1, max_steps=20)
    start = copy.deepcopy(two)
    several = fitted(two, batches(1), tmp_path, max_epochs=-1, max_steps=20, strategy="ddp_fork", devices=2)
    assert single.global_step == 20
    close(two, one)
    assert moved(one, start)
    figures = {name: value for name, value in single.callback_metrics.items() if name.startswith("val/")}
    assert len(figures) > 3
    for name, value in figures.items():
        assert several.callback_metrics[name] == pytest.approx(float(value), abs=1e-6), name


def mined() -> MetricModule:
    return EmbeddingModule(SmallNet(), TripletMarginLoss(margin=0.5, miner=RandomHardNegative(seed=2)), Sgd)


@pytest.mark.parametrize("anchors", [512, 11])
def test_figures_of_training_are_those_of_the_batch_of_all_ranks(anchors, tmp_path, monkeypatch):
    """Also where they look at the first rows only: of 18, one rank's 9 and 2 of the other's."""
    monkeypatch.setattr("metric_lightning.modules.statistics._MOST_ANCHORS", anchors)
    options = dict(max_epochs=-1, max_steps=3, log_every_n_steps=1)
    single = fitted(mined(), balanced(2), tmp_path, **options)
    several = fitted(mined(), balanced(1), tmp_path, strategy="ddp_fork", devices=2, **options)
    for name in ("positive_distance", "negative_distance", "active_pairs"):
        expected = float(single.callback_metrics[f"train/{name}"])
        assert 0 < expected
        assert float(several.callback_metrics[f"train/{name}"]) == pytest.approx(expected, rel=1e-5), name


def test_accumulated_steps_on_two_ranks(tmp_path):
    one, two = remembering(), remembering()
    fitted(one, balanced(2), tmp_path, max_epochs=-1, max_steps=6, accumulate_grad_batches=3)
    fitted(
        two,
        balanced(1),
        tmp_path,
        max_epochs=-1,
        max_steps=6,
        accumulate_grad_batches=3,
        strategy="ddp_fork",
        devices=2,
    )
    close(two, one)


def test_mixed_precision_on_two_ranks(tmp_path):
    one, two = remembering(), remembering()
    options = dict(max_epochs=-1, max_steps=4, precision="bf16-mixed", log_every_n_steps=1)
    fitted(one, balanced(2), tmp_path, **options)
    fitted(two, balanced(1), tmp_path, strategy="ddp_fork", devices=2, **options)
    for ours, theirs in zip(two.parameters(), one.parameters(), strict=True):
        # bf16 has 8 bits; a wrong factor of 2 would be far outside.
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.005)


def normalised_over_ranks(self: nn.SyncBatchNorm, inputs: Tensor) -> Tensor:
    """Stand in for PyTorch's kernel, which no CPU has: batch normalisation of the rows of all ranks."""
    if not self.training:
        return nn.functional.batch_norm(inputs, self.running_mean, self.running_var, self.weight, self.bias)
    counts = row_counts(len(inputs), inputs.device)
    start = sum(counts[: dist.get_rank()])
    everyone = nn.functional.batch_norm(
        gather_rows(inputs, counts), self.running_mean, self.running_var, self.weight, self.bias, True, self.momentum
    )
    self.num_batches_tracked.add_(1)
    return everyone[start : start + len(inputs)]


def normalising() -> MetricModule:
    return EmbeddingModule(SmallNet(batch_norm=True), TripletMarginLoss(margin=0.5), Sgd)


@pytest.mark.parametrize("synchronised", [True, False])
def test_synchronised_batch_normalisation_on_two_ranks(synchronised, tmp_path, monkeypatch):
    """All but PyTorch's own kernel: the Trainer's layers, the scale of gradients, the running statistics."""
    monkeypatch.setattr(nn.SyncBatchNorm, "forward", normalised_over_ranks)
    monkeypatch.setattr(nn.parallel.DistributedDataParallel, "_passing_sync_batchnorm_handle", lambda *_: None)
    one, two = normalising(), normalising()
    fitted(one, balanced(2), tmp_path, max_epochs=-1, max_steps=10)
    options = dict(max_epochs=-1, max_steps=10, strategy="ddp_fork", devices=2)
    fitted(two, balanced(1), tmp_path, sync_batchnorm=synchronised, **options)
    if synchronised:
        close(two, one)
    else:
        with pytest.raises(AssertionError, match="network"):
            close(two, one)


def test_synchronised_batch_normalisation_on_cpu_ranks_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(Exception, match="SyncBatchNorm layers only work with GPU modules") as refused:
        fitted(normalising(), balanced(1), tmp_path, max_steps=1, sync_batchnorm=True, strategy="ddp_fork", devices=2)
    words = str(refused.value).strip().splitlines()[-1]
    assert sentence_of(ValueError(words.removeprefix("ValueError: "))) == (
        "sync_batchnorm needs GPUs: PyTorch has it for no other device; leave it out on CPU ranks"
    )


def close(found: MetricModule, expected: MetricModule) -> None:
    ours, theirs = found.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(
            ours[name], value, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def moved(module: MetricModule, start: MetricModule) -> bool:
    start.build(6, (1, 4, 4))
    return any(
        float((one - other).detach().abs().max()) > 1e-2
        for one, other in zip(module.parameters(), start.parameters(), strict=True)
    )

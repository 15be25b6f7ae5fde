"""Of healthy trainings nothing is named, with all that diagnoses by default: ten seeds on real digits, and clouds that
are small batches, unequal classes, hard, or seen by other distances.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from metric_lightning.callbacks import CollapseDiagnosis, DataCheck, MislabelledCandidates
from metric_lightning.data import ArrayDataset, BalancedBatches, Digits, MetricDataModule, PlainBatches, SampleSplit
from metric_lightning.distances import CosineDistance, DotProductDistance
from metric_lightning.losses import (
    CrossBatchMemory,
    InfoNCELoss,
    NormalizedSoftmaxLoss,
    NPairsLoss,
    SoftmaxLoss,
    TripletMarginLoss,
    WeightedSum,
)
from metric_lightning.losses.base import MetricLoss
from metric_lightning.miners import RandomHardNegative, SemiHardNegative
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNet, EmbeddingNetwork
from tests.callbacks.small import trainer


class Clouds(MetricDataModule):
    """Classes of so many noisy 6x6 images of one pattern each."""

    def __init__(self, sizes: list[int], noise: float, batches: Any, seed: int):
        self.sizes, self.noise = sizes, noise
        names = [str(label) for label in range(len(sizes))]
        split = SampleSplit(validation_size=0.2, test_size=0.1)
        super().__init__(names, (1, 6, 6), batches, split, seed=seed)

    def load(self):
        random = torch.Generator().manual_seed(7)
        labels = torch.arange(len(self.sizes)).repeat_interleave(torch.tensor(self.sizes))
        patterns = torch.randn(len(self.sizes), 1, 6, 6, generator=random)
        images = patterns[labels] + self.noise * torch.randn(len(labels), 1, 6, 6, generator=random)
        pixels = (128 + 24 * images).clamp(0, 255).to(torch.uint8)
        return ArrayDataset(pixels, labels, list(self.own_class_names), mean=0.5, std=0.2), None


class Perceptron(EmbeddingNetwork):
    """Two layers, whose embedding lies where `offset` says."""

    def __init__(self, offset: float = 0.0, normalize: bool = False):
        super().__init__(8, normalize)
        self.offset = offset

    def make_layers(self, input_shape):
        last = nn.Linear(32, 8)
        nn.init.constant_(last.bias, self.offset)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.ReLU(), last)


class Run(NamedTuple):
    loss: Callable[[], MetricLoss]
    sizes: list[int] = [30] * 8
    noise: float = 1.0
    batches: Any = BalancedBatches(n_classes=8, n_samples=4)
    offset: float = 0.0
    epochs: int = 6
    options: dict[str, Any] = {}


RUNS = {
    "two samples of four classes": Run(
        lambda: TripletMarginLoss(0.2, miner=SemiHardNegative()),
        noise=0.7,
        batches=BalancedBatches(n_classes=4, n_samples=2),
        epochs=8,
    ),
    "three pairs": Run(
        lambda: TripletMarginLoss(0.2), noise=0.7, batches=BalancedBatches(n_classes=3, n_samples=2), epochs=8
    ),
    "random hard": Run(
        lambda: TripletMarginLoss(1.0, miner=RandomHardNegative()), batches=BalancedBatches(n_classes=4, n_samples=4)
    ),
    "one class of most": Run(lambda: TripletMarginLoss(0.2), [270, 15, 15], 4.0, PlainBatches(batch_size=32)),
    "one class of most, softmax": Run(SoftmaxLoss, [180, *[15] * 5], 2.0, PlainBatches(batch_size=32)),
    "hard, far from the origin": Run(lambda: TripletMarginLoss(0.2), noise=3.0, offset=30.0),
    "hard, dot product": Run(NPairsLoss, noise=3.0),
    "dot product": Run(lambda: InfoNCELoss(temperature=1.0, distance=DotProductDistance())),
    "hard, triplets of dot products": Run(lambda: TripletMarginLoss(0.2, distance=DotProductDistance()), noise=3.0),
    "hard, cosine": Run(lambda: TripletMarginLoss(0.2, distance=CosineDistance()), noise=3.0),
    "memory": Run(lambda: CrossBatchMemory(TripletMarginLoss(0.2), size=64)),
    "sum": Run(lambda: WeightedSum([NormalizedSoftmaxLoss(), TripletMarginLoss(0.2)])),
    "bf16": Run(lambda: TripletMarginLoss(0.2), options={"precision": "bf16-mixed"}),
}


def named_in(tmp_path, caplog, model, data, **options) -> list[str]:
    """Train, and return what was named."""
    diagnosis, check, labels = CollapseDiagnosis(), DataCheck(), MislabelledCandidates()
    trainer(tmp_path, [diagnosis, check, labels], **options).fit(model, datamodule=data)
    said = [record.message for record in caplog.records if "mislabelled" in record.message]
    return [*diagnosis.named.values(), *check.named.values(), *said]


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_named_of_clouds(tmp_path, caplog, name, seed):
    torch.manual_seed(seed)
    run = RUNS[name]
    model = EmbeddingModule(Perceptron(run.offset), run.loss(), adam, metrics=[])
    data = Clouds(run.sizes, run.noise, run.batches, seed)
    assert named_in(tmp_path, caplog, model, data, max_epochs=run.epochs, log_every_n_steps=7, **run.options) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_named_of_digits(tmp_path, caplog, seed):
    torch.manual_seed(seed)
    loss = NormalizedSoftmaxLoss() if seed % 2 else TripletMarginLoss(1.0, miner=SemiHardNegative())
    model = EmbeddingModule(EmbeddingNet(embedding_dim=16, padding=2), loss, adam)
    data = Digits(batches=BalancedBatches(n_classes=10, n_samples=8), seed=seed)
    assert named_in(tmp_path, caplog, model, data, max_epochs=5) == []

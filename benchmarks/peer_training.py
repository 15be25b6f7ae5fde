"""One training, by a plain loop with pytorch-metric-learning, by the same loop with our loss, and by our Trainer.

MNIST-5k, EmbeddingNet, batches of 10 classes x 25 samples, Adam: the same data, batches, network, seeds and steps.
The loss is the triplet loss on semi-hard negatives of unit embeddings, where both packages have it.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from metric_lightning.data import BalancedBatches, MNIST5k
from metric_lightning.losses import MetricLoss, TripletMarginLoss
from metric_lightning.metrics import EmbeddedSet, RetrievalMetrics
from metric_lightning.miners import SemiHardNegative, TripletMargin
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNet

MARGIN, DIMENSIONS, RATE = 0.2, 64, 1e-3


class Trained(NamedTuple):
    """What a training took and what came of it, each by seed.

    Attributes:
        images: a second, end to end: loading, network, mining, loss, backward, optimizer.
        mining: share of a step spent in miner and loss (their forward alone).
        evaluation: seconds for precision@1 and MAP@R of the test set, embedded before.
        accuracy: MAP@R of the test set.
    """

    images: list[float]
    mining: list[float]
    evaluation: list[float]
    accuracy: list[float]


Evaluate = Callable[[Tensor, Tensor], None]
Cost = Callable[[Tensor, Tensor], Tensor]


def our_loss() -> MetricLoss:
    """All semi-hard triplets, the same as theirs."""
    return TripletMarginLoss(margin=MARGIN, average="active", miner=TripletMargin("semi-hard"))


def our_sampled_loss() -> MetricLoss:
    """One semi-hard negative for each positive pair."""
    return TripletMarginLoss(margin=MARGIN, miner=SemiHardNegative())


def their_loss() -> Cost:
    """The peer's loss on the triplets of its miner."""
    from pytorch_metric_learning.losses import TripletMarginLoss as Theirs
    from pytorch_metric_learning.miners import TripletMarginMiner

    loss, miner = Theirs(margin=MARGIN), TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard")
    return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))


def evaluate_ours(embeddings: Tensor, labels: Tensor) -> None:
    """Precision@1 and MAP@R by our metric."""
    RetrievalMetrics().evaluate(EmbeddedSet(embeddings, labels, torch.arange(len(labels))))


def evaluate_theirs(embeddings: Tensor, labels: Tensor) -> None:
    """The same by the peer's calculator, told to keep only the neighbours that MAP@R needs."""
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    knn = CustomKNN(LpDistance(normalize_embeddings=False), batch_size=512)
    include = ("precision_at_1", "mean_average_precision_at_r")
    AccuracyCalculator(include=include, k="max_bin_count", knn_func=knn).get_accuracy(embeddings, labels)


def by_loop(make_cost: Callable[[], Cost], evaluate: Evaluate, seeds: int, epochs: int, device: str) -> Trained:
    """Train by a plain loop."""
    found = Trained([], [], [], [])
    for seed in range(seeds):
        data, network = _parts(seed)
        network.to(device)
        cost = make_cost()
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        started, images, mining = time.perf_counter(), 0, 0.0
        for batch in _batches(data, epochs):
            embeddings = network(batch.inputs.to(device))
            before = _now(device)
            value = cost(embeddings, batch.labels.to(device))
            mining += _now(device) - before
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            images += len(batch.labels)
        taken = _now(device) - started
        found.images.append(images / taken)
        found.mining.append(mining / taken)
        _evaluate(found, network, data, evaluate)
    return found


def by_trainer(make_loss: Callable[[], MetricLoss], seeds: int, epochs: int, device: str) -> Trained:
    """Train by Lightning's Trainer, as users of this package do, without callbacks; mining is not told apart there."""
    found = Trained([], [], [], [])
    for seed in range(seeds):
        data, network = _parts(seed)
        module = EmbeddingModule(network, make_loss(), lambda parameters: torch.optim.Adam(parameters, lr=RATE))
        trainer = Trainer(
            max_epochs=epochs,
            limit_val_batches=0,
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        started = time.perf_counter()
        trainer.fit(module, train_dataloaders=data.train_dataloader())
        images = 250 * trainer.global_step
        found.images.append(images / (_now(device) - started))
        _evaluate(found, network.cpu(), data, evaluate_ours)
    return found


def middle(values: list[float]) -> float:
    """Return the median; nan of none."""
    return median(values) if values else float("nan")


def _parts(seed: int) -> tuple[MNIST5k, nn.Module]:
    torch.manual_seed(seed)
    data = MNIST5k(batches=BalancedBatches(n_classes=10, n_samples=25), seed=seed)
    data.setup()
    return data, EmbeddingNet(embedding_dim=DIMENSIONS, normalize=True, input_shape=data.input_shape)


def _batches(data: MNIST5k, epochs: int) -> Iterator[Any]:
    loader = data.train_dataloader()
    for epoch in range(epochs):
        loader.batch_sampler.set_epoch(epoch)
        yield from loader


def _evaluate(found: Trained, network: nn.Module, data: MNIST5k, evaluate: Evaluate) -> None:
    network.cpu().eval()
    with torch.no_grad():
        parts = [(network(batch.inputs), batch.labels) for batch in data.test_dataloader()]
    embeddings, labels = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    started = time.perf_counter()
    evaluate(embeddings, labels)
    found.evaluation.append(time.perf_counter() - started)
    # One judge for all.
    figures = RetrievalMetrics().evaluate(EmbeddedSet(embeddings, labels, torch.arange(len(labels))))
    found.accuracy.append(figures["map_at_r"])


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()

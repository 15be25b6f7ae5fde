"""How each loss and miner is made for its page: as a reader would first try it."""

import inspect
from collections.abc import Callable

from metric_lightning import losses, miners
from metric_lightning.losses import ContrastiveLoss, MetricLoss, TripletMarginLoss, TripletSoftMarginLoss
from metric_lightning.miners import Miner, PairMiner

MARGIN = 0.5

# Losses around others need one; a temperature or scale for thousands of dimensions is none for two.
_MADE: dict[str, Callable[[], MetricLoss]] = {
    "CrossBatchMemory": lambda: losses.CrossBatchMemory(ContrastiveLoss(margin=MARGIN), size=36),
    "PytorchMetricLearningLoss": lambda: losses.PytorchMetricLearningLoss("ContrastiveLoss"),
    "WeightedSum": lambda: losses.WeightedSum([losses.SoftmaxLoss(), TripletMarginLoss(margin=MARGIN)]),
}


def concrete(package: object) -> list[str]:
    """Return the public names of a package that are no abstract bases."""
    names: list[str] = package.__all__  # type: ignore[attr-defined]
    return [name for name in names if not inspect.isabstract(getattr(package, name)) and name != "MarginMiner"]


def make_loss(name: str) -> MetricLoss:
    """Return a loss of `metric_lightning.losses`, not yet built."""
    made = _MADE.get(name, getattr(losses, name))()
    assert isinstance(made, MetricLoss)
    return made


def make_miner(name: str) -> Miner:
    """Return a miner of `metric_lightning.miners`."""
    if name == "DistanceWeighted":
        return miners.DistanceWeighted(dimensions=2)
    made = getattr(miners, name)()
    assert isinstance(made, Miner)
    return made


def loss_around(miner: Miner) -> MetricLoss:
    """Return a loss that takes what the miner picks."""
    if isinstance(miner, PairMiner):
        return ContrastiveLoss(margin=MARGIN, miner=miner)
    if isinstance(miner, miners.BatchHard | miners.BatchEasyHard):
        return TripletSoftMarginLoss(miner=miner)
    return TripletMarginLoss(margin=MARGIN, miner=miner)

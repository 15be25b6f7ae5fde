"""How the benchmark makes each public loss and miner, and what pytorch-metric-learning has in its place."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from metric_lightning import losses, miners
from metric_lightning.losses import MetricLoss, TripletMarginLoss
from metric_lightning.miners import Miner, PairMiner

DIMENSIONS = 128

# Those that take other losses are made of these; the adapter of the peer is the peer.
_MADE: dict[str, Callable[[], MetricLoss]] = {
    "CrossBatchMemory": lambda: losses.CrossBatchMemory(losses.ContrastiveLoss(), size=4096),
    "WeightedSum": lambda: losses.WeightedSum([losses.ContrastiveLoss(), losses.NCALoss()]),
    "TripletMarginLoss": lambda: TripletMarginLoss(0.2),
}
# Beside their defaults.
_VARIANTS: dict[str, Callable[[], MetricLoss]] = {
    "NPairsLoss-one-pair-per-class": lambda: losses.NPairsLoss(one_pair_per_class=True),
    # The peer's has no spread of the centers to work out.
    "SoftTripleLoss-no-spread": lambda: losses.SoftTripleLoss(spread_weight=0.0),
}
_LEFT_OUT = {"PytorchMetricLearningLoss"}
# The peer's of these names is something else: a memory of another shape, class scores without weights, two views,
# one pair for each class where ours takes all.
_WITHOUT_PEER = {"CrossBatchMemory", "InstanceLoss", "NPairsLoss", "VICRegLoss"}

# Ours -> the peer's loss, its miner, and their arguments.
_PEERS: dict[str, tuple[str, dict[str, Any], str | None, dict[str, Any]]] = {
    "TripletMarginLoss": ("TripletMarginLoss", {"margin": 0.2}, None, {}),
    "TripletSoftMarginLoss": ("TripletMarginLoss", {"margin": 0.0, "smooth_loss": True}, None, {}),
    "NPairsLoss-one-pair-per-class": ("NPairsLoss", {}, None, {}),
    "SoftTripleLoss-no-spread": ("SoftTripleLoss", {}, None, {}),
    "BatchInstanceLoss": ("InstanceLoss", {}, None, {}),
    "NTXentLoss": ("NTXentLoss", {}, None, {}),
    "InfoNCELoss": ("NTXentLoss", {}, None, {}),
    "SupervisedContrastiveLoss": ("SupConLoss", {}, None, {}),
    "GeneralizedLiftedStructureLoss": ("GeneralizedLiftedStructureLoss", {}, None, {}),
    "SignalToNoiseContrastiveLoss": ("SignalToNoiseRatioContrastiveLoss", {}, None, {}),
    "RankedListLoss": ("RankedListLoss", {"margin": 0.4, "Tn": 10}, None, {}),
    "DynamicSoftMarginLoss": ("DynamicSoftMarginLoss", {}, None, {}),
    "PairMargin": ("ContrastiveLoss", {}, "PairMarginMiner", {}),
    "MultiSimilarity": ("ContrastiveLoss", {}, "MultiSimilarityMiner", {}),
    "UniformHistogram": ("ContrastiveLoss", {}, "UniformHistogramMiner", {}),
    "BatchHard": ("TripletMarginLoss", {"margin": 0.2}, "BatchHardMiner", {}),
    "BatchEasyHard": ("TripletMarginLoss", {"margin": 0.2}, "BatchEasyHardMiner", {}),
    "DistanceWeighted": ("TripletMarginLoss", {"margin": 0.2}, "DistanceWeightedMiner", {}),
    "Angular": ("TripletMarginLoss", {"margin": 0.2}, "AngularMiner", {}),
    "TripletMargin": ("TripletMarginLoss", {"margin": 0.2}, "TripletMarginMiner", {"margin": 0.2}),
    "SemiHardNegative": (
        "TripletMarginLoss",
        {"margin": 0.2},
        "TripletMarginMiner",
        {"margin": 0.2, "type_of_triplets": "semihard"},
    ),
    "RandomHardNegative": (
        "TripletMarginLoss",
        {"margin": 0.2},
        "TripletMarginMiner",
        {"margin": 0.2, "type_of_triplets": "all"},
    ),
}


def ours(num_classes: int) -> dict[str, Any]:
    """Return every public loss, and every public miner in a loss, by name, made and built."""
    found: dict[str, Any] = {}
    for name in losses.__all__:
        item = getattr(losses, name)
        if inspect.isclass(item) and not inspect.isabstract(item) and name not in _LEFT_OUT:
            found[name] = _MADE.get(name, item)()
    found.update({name: make() for name, make in _VARIANTS.items()})
    for name in miners.__all__:
        item = getattr(miners, name)
        if inspect.isclass(item) and issubclass(item, Miner) and not inspect.isabstract(item):
            found[name] = _with(item())
    for loss in found.values():
        loss.build(num_classes, DIMENSIONS)
    return found


def _with(miner: Miner) -> MetricLoss:
    if isinstance(miner, PairMiner):
        return losses.ContrastiveLoss(miner=miner)
    return TripletMarginLoss(0.2, miner=miner)


class _Mined(nn.Module):
    def __init__(self, loss: nn.Module, miner: nn.Module | None):
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, embeddings: Any, labels: Any) -> Any:
        return self.loss(embeddings, labels, None if self.miner is None else self.miner(embeddings, labels))


def peer(name: str, num_classes: int) -> Any:
    """Return the peer's equivalent with its defaults, or None where it has none."""
    from pytorch_metric_learning import losses as their_losses
    from pytorch_metric_learning import miners as their_miners

    loss_name, arguments, miner_name, miner_arguments = _PEERS.get(name, (name, {}, None, {}))
    found = getattr(their_losses, loss_name, None)
    if found is None or name in _WITHOUT_PEER:
        return None
    if getattr(losses, name.partition("-")[0], MetricLoss).learns_classes:
        arguments = {"num_classes": num_classes, "embedding_size": DIMENSIONS, **arguments}
    miner = None if miner_name is None else getattr(their_miners, miner_name)(**miner_arguments)
    loss = found(**arguments)
    return loss if miner is None else _Mined(loss, miner)

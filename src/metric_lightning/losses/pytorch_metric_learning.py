"""Losses of the package pytorch-metric-learning, named in YAML. It is optional, and imported when one is made."""

import inspect

import torch
from torch import Tensor, nn

from metric_lightning.functional.pairs import pairs_from_labels
from metric_lightning.functional.precision import autocast_off, full_precision
from metric_lightning.losses.base import MetricLoss, check_batch
from metric_lightning.losses.named_objects import asked_arguments, construct, find_class
from metric_lightning.types import Pairs, Ratio, References

_CLASSES, _DIMENSIONS = ("num_classes",), ("embedding_size", "descriptors_dim")


class PytorchMetricLearningLoss(MetricLoss):
    """A loss of pytorch-metric-learning by name, with any of its miners, as it is there: its reducers, its defaults.

    Helps to compare, and to keep what a project already uses. What this package promises of its own losses (the many
    ranks' gradients, blocks, finite values whatever the batch holds) it can't promise of these. Every rank computes
    the loss on the gathered batch (`row_wise` is False), so the gradients of many ranks are those of one process.

    `num_classes` and `embedding_size` are filled in from the data and the network where the loss, or an object in its
    arguments (the losses of `MultipleLosses`), asks for them. References go to losses that take them; given pairs go in
    as their `indices_tuple`. With a miner an anchor among the references is mined as their `CrossBatchMemory` does it:
    with itself as a positive, which is then taken out.

    Three take no labels and are refused: `VICRegLoss`, `SelfSupervisedLoss` and `ManifoldLoss`.

    Helps:
        To compare, and to keep what a project uses already.

    Collapses:
        As the loss that it names.

    Args:
        class_path: of the loss: "CircleLoss", or the whole import path of a class of your own.
        init_args: arguments of its constructor. Objects in them (distances, reducers, regularizers, miners, losses) are
            written as {"class_path": "LpDistance", "init_args": {...}}, or with the whole import path.
        miner_class_path: of a miner: "MultiSimilarityMiner"; None: none.
        miner_init_args: arguments of the miner's constructor.

    Raises:
        UserError: the package is not installed, or has no such name; the loss takes no labels.

    Example:
        >>> loss = PytorchMetricLearningLoss("ContrastiveLoss", {"neg_margin": 1.0})
        >>> loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))  # their default makes vectors unit
        tensor(1.4142)
    """

    row_wise = False

    def __init__(
        self,
        class_path: str,
        init_args: dict | None = None,
        miner_class_path: str | None = None,
        miner_init_args: dict | None = None,
    ):
        # Not dict[str, Any]: jsonargparse would make the objects within, and the loss could not be described any more.
        super().__init__()
        self._type = find_class(("losses",), class_path)
        self._arguments = dict(init_args or {})
        # Looks up what is named within, too, so that a wrong name is an error here and not once the data are there.
        asked = asked_arguments(self._type, self._arguments)
        self._sizes = {name for name, given in asked if not given and name in (*_CLASSES, *_DIMENSIONS)}
        self.learns_classes = any(name in _CLASSES for name, _ in asked)  # type: ignore[misc]
        if miner_init_args and miner_class_path is None:
            raise ValueError("PytorchMetricLearningLoss: miner_init_args are given, but no miner_class_path")
        self.miner: nn.Module | None = None
        if miner_class_path is not None:
            self.miner = construct(find_class(("miners",), miner_class_path), miner_init_args or {}, {})
        self.loss: nn.Module | None = None
        if not self._sizes:
            self.loss = construct(self._type, self._arguments, {})

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Make the loss, where it waits for its sizes."""
        if self.loss is None:
            if num_classes is None and self._sizes & set(_CLASSES):
                raise ValueError(f"{self._type.__name__}: the number of classes is not known; give num_classes")
            sizes = {**dict.fromkeys(_CLASSES, num_classes), **dict.fromkeys(_DIMENSIONS, embedding_dim)}
            self.loss = construct(self._type, self._arguments, sizes)

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the loss as one part of count 1, see `MetricLoss.terms`."""
        if self.loss is None:
            raise RuntimeError(
                f"{self._type.__name__} has no weights yet: call build(num_classes, embedding_dim) first"
            )
        check_batch(embeddings, labels, References(embeddings, labels) if references is None else references)
        with autocast_off(embeddings.device):
            x = full_precision(embeddings)
            nothing = x.sum() * 0
            if not len(x):
                return {"loss": Ratio(nothing, torch.zeros_like(nothing))}
            value = nothing + self._value(x, labels, references, pairs)
        return {"loss": Ratio(value, torch.ones_like(value))}

    def _value(self, x: Tensor, labels: Tensor, references: References | None, pairs: Pairs | None) -> Tensor:
        assert self.loss is not None
        others: dict[str, Tensor] = {}
        own = None
        if references is not None:
            if "ref_emb" not in inspect.signature(self.loss.forward).parameters:
                raise ValueError(f"PytorchMetricLearningLoss: {self._type.__name__} takes no references")
            others = {"ref_emb": full_precision(references.embeddings), "ref_labels": references.labels}
            own = references.own
        chosen = None
        if self.miner is not None:
            if pairs is not None:
                raise ValueError("PytorchMetricLearningLoss: its miner can't be told which pairs are given")
            chosen = _without_self(self.miner(x, labels, **others), own)
        elif pairs is not None:
            chosen = _indices(pairs)
        elif references is not None and own is not None:
            # Theirs can't be told which column an anchor is itself: pairs without it are given instead.
            chosen = _indices(pairs_from_labels(labels, references.labels, own))
        return self.loss(x, labels, chosen, **others)


def _indices(pairs: Pairs) -> tuple[Tensor, ...]:
    return (*pairs.positive.nonzero(as_tuple=True), *pairs.negative.nonzero(as_tuple=True))


def _without_self(indices: tuple[Tensor, ...], own: Tensor | None) -> tuple[Tensor, ...]:
    """Return what a miner picked, (a, p, n) or (a, p, a, n), without those where the positive is the anchor itself."""
    if own is None:
        return indices
    anchor, positive, *rest = indices
    kept = positive != own[anchor]
    return (anchor[kept], positive[kept], *(rest if len(rest) == 2 else (part[kept] for part in rest)))

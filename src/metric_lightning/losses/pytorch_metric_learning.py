"""Losses of the package pytorch-metric-learning, named in YAML. It is optional, and imported when one is made."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from metric_lightning.errors import UserError
from metric_lightning.functional.pairs import pairs_from_labels
from metric_lightning.functional.precision import full_precision
from metric_lightning.losses.base import MetricLoss, check_batch
from metric_lightning.types import Pairs, Ratio, References

_PACKAGE = "pytorch_metric_learning"


class PytorchMetricLearningLoss(MetricLoss):
    """Any loss of pytorch-metric-learning, with any of its miners, as it is there: its reducers, its defaults.

    Helps to compare, and to keep what a project already uses. What this package promises of its own losses (the many
    ranks' gradients, blocks, finite values whatever the batch holds) it can't promise of these. Every rank computes
    the loss on the gathered batch (`row_wise` is False), so the gradients of many ranks are those of one process.

    `num_classes` and `embedding_size` are filled in from the data and the network where the loss asks for them.
    References go to losses that take them; given pairs go in as their `indices_tuple`.

    Helps:
        To compare, and to keep what a project uses already.

    Collapses:
        As the loss that it names.

    Args:
        class_path: of the loss: "CircleLoss", or the whole import path of a class of your own.
        init_args: arguments of its constructor. Objects in them (distances, reducers) are written as
            {"class_path": "pytorch_metric_learning.distances.LpDistance", "init_args": {...}}.
        miner_class_path: of a miner: "MultiSimilarityMiner"; None: none.
        miner_init_args: arguments of the miner's constructor.

    Raises:
        UserError: the package is not installed, or has no such name.

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
        self._type = _find("losses", class_path)
        self._arguments = {key: _made(value) for key, value in (init_args or {}).items()}
        self._sizes = [
            key
            for key in ("num_classes", "embedding_size")
            if key in _parameters(self._type) and key not in self._arguments
        ]
        self.learns_classes = "num_classes" in _parameters(self._type)  # type: ignore[misc]
        if miner_init_args and miner_class_path is None:
            raise ValueError("PytorchMetricLearningLoss: miner_init_args are given, but no miner_class_path")
        self.miner: nn.Module | None = None
        if miner_class_path is not None:
            self.miner = _construct(_find("miners", miner_class_path), _made(miner_init_args or {}))
        self.loss: nn.Module | None = None
        if not self._sizes:
            self.loss = _construct(self._type, self._arguments)

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Make the loss, where it waits for its sizes."""
        if self.loss is None:
            known = {"num_classes": num_classes, "embedding_size": embedding_dim}
            if "num_classes" in self._sizes and num_classes is None:
                raise ValueError(f"{self._type.__name__}: the number of classes is not known; give num_classes")
            self.loss = _construct(self._type, {**self._arguments, **{key: known[key] for key in self._sizes}})

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the loss as one part of count 1, see `MetricLoss.terms`."""
        if self.loss is None:
            raise RuntimeError(
                f"{self._type.__name__} has no weights yet: call build(num_classes, embedding_dim) first"
            )
        check_batch(embeddings, labels, References(embeddings, labels) if references is None else references)
        with torch.autocast(embeddings.device.type, enabled=False):
            x = full_precision(embeddings)
            nothing = x.sum() * 0
            if not len(x):
                return {"loss": Ratio(nothing, torch.zeros_like(nothing))}
            value = nothing + self._value(x, labels, references, pairs)
        return {"loss": Ratio(value, torch.ones_like(value))}

    def _value(self, x: Tensor, labels: Tensor, references: References | None, pairs: Pairs | None) -> Tensor:
        assert self.loss is not None
        others: dict[str, Tensor] = {}
        if references is not None:
            others = {"ref_emb": full_precision(references.embeddings), "ref_labels": references.labels}
            if pairs is None and references.own is not None:
                # Theirs can't be told which column an anchor is itself: pairs without it are given instead.
                pairs = pairs_from_labels(labels, references.labels, references.own)
        chosen = None
        if pairs is not None:
            chosen = (*pairs.positive.nonzero(as_tuple=True), *pairs.negative.nonzero(as_tuple=True))
        if self.miner is not None:
            if chosen is not None:
                raise ValueError("PytorchMetricLearningLoss: its miner can't be told which pairs are given")
            chosen = self.miner(x, labels, **others)
        return self.loss(x, labels, chosen, **others)


def _find(kind: str, name: str) -> type[nn.Module]:
    """Return the class of that name or import path."""
    path, _, last = name.rpartition(".")
    try:
        module = importlib.import_module(path or f"{_PACKAGE}.{kind}")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == _PACKAGE:
            raise UserError(
                f"{name} is in the package pytorch-metric-learning: pip install pytorch-metric-learning"
            ) from error
        raise UserError(f"{name} can't be imported: {error}") from error
    if not hasattr(module, last):
        raise UserError(f"{module.__name__} has no {last}")
    found: type[nn.Module] = getattr(module, last)
    return found


def _made(value: Any) -> Any:
    """Return the argument with {"class_path", "init_args"} made into objects."""
    if isinstance(value, list):
        return [_made(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "class_path" in value:
        return _construct(_find("losses", value["class_path"]), _made(value.get("init_args") or {}))
    return {key: _made(item) for key, item in value.items()}


def _parameters(type_: type) -> set[str]:
    """Return the names of all arguments, those that go on to a base class by **kwargs too."""
    names: set[str] = set()
    for base in type_.__mro__:
        if "__init__" in base.__dict__:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            names |= {p.name for p in parameters}
            if not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
                break
    return names


def _construct(type_: type[nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    try:
        return type_(**arguments)
    except TypeError as error:
        raise UserError(f"{type_.__name__}: {error}") from error

"""What a loss brings to its contract test: how to make it, and a slow, obvious oracle of its value.

N anchors, M references, D dimensions, all in float64. To put a new loss under the contract, add a file
`cases_<topic>.py` here with `CASES: list[Case]`; test_losses.py finds it.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metric_lightning.losses import MetricLoss
from metric_lightning.types import Pairs, References
from tests.contract.oracles import same_label_pairs

CLASSES = 8
DIMENSIONS = 3


@dataclass(frozen=True)
class Case:
    """A loss, as it would be written by a user, with its oracle.

    Attributes:
        name: id of the tests, say "contrastive-sides".
        make: builds the loss; `build(CLASSES, DIMENSIONS)` follows, so sizes need not be given.
        oracle: (loss, embeddings, labels, references, pairs) -> scalar, a Python loop over float64 scalars that calls
            nothing of the package; its gradients come from autograd through the loop, for the loss's parameters too.
            `references` and `pairs` are never None: where none are given, the batch itself and the pairs of its labels.
        pairwise: takes references and given pairs; False for losses of class weights.
        labels: (N,) class numbers -> what this loss takes as labels, for multi-label cases.
        pairs: (labels, reference labels, own) -> the pairs that those labels mean.
        exempt: name of a test -> why it can't hold for this loss. Every entry needs a reason that a reader accepts.
        peer: makes pytorch-metric-learning's loss of the same definition, (embeddings, labels) -> scalar.
    """

    name: str
    make: Callable[[], MetricLoss]
    oracle: Callable[[Any, Tensor, Tensor, References, Pairs], Tensor]
    pairwise: bool = True
    labels: Callable[[Tensor], Tensor] = field(default=lambda classes: classes)
    pairs: Callable[[Tensor, Tensor, Tensor | None], Pairs] = same_label_pairs
    exempt: Mapping[str, str] = field(default_factory=dict)
    peer: Callable[[], Callable[[Tensor, Tensor], Tensor]] | None = None

    def loss(self, dtype: torch.dtype = torch.float64) -> Any:
        """Return the loss anew, built, always with the same parameters."""
        torch.manual_seed(1)
        loss = self.make()
        loss.build(CLASSES, DIMENSIONS)
        return loss.to(dtype)


class Batch(NamedTuple):
    """Arguments of a loss."""

    embeddings: Tensor
    labels: Tensor
    references: References | None = None
    pairs: Pairs | None = None


def random_rows(rows: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Return (rows, DIMENSIONS) float64."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, DIMENSIONS, generator=generator, dtype=torch.float64)


def class_numbers() -> Tensor:
    """Return labels of eight rows; class 3 has one sample."""
    return torch.tensor([0, 1, 0, 2, 1, 0, 2, 3])


def _random() -> Batch:
    return Batch(random_rows(8), class_numbers())


def _duplicates() -> Batch:
    """Equal rows within a class (0, 2 and 5) and across classes (1 and 3)."""
    rows = random_rows(8)
    rows[[2, 5]] = rows[0].clone()
    rows[3] = rows[1].clone()
    return Batch(rows, class_numbers())


def _zeros() -> Batch:
    rows = random_rows(8)
    rows[[1, 2, 3]] = 0.0
    return Batch(rows, class_numbers())


def _own_references() -> Batch:
    """Anchors among more references: columns 2 to 9 are the batch."""
    rows, others = random_rows(8), random_rows(11, seed=1)
    others[2:10] = rows
    labels = torch.tensor([1, 3, *class_numbers(), 0])
    return Batch(rows, class_numbers(), References(others, labels, torch.arange(2, 10)))


def _strange_references() -> Batch:
    """A gallery that the anchors are not in."""
    labels = torch.tensor([0, 1, 2, 3, 0, 4, 1, 2, 0, 5, 1])
    return Batch(random_rows(8), class_numbers(), References(random_rows(11, seed=1), labels, None))


def _given_pairs() -> Batch:
    """Pairs that follow no labels: some in neither mask, one row without positives, one without negatives."""
    kind = torch.randint(0, 3, (8, 8), generator=torch.Generator().manual_seed(3))
    kind.fill_diagonal_(0)
    positive, negative = kind == 1, kind == 2
    positive[4], negative[6] = False, False
    return Batch(random_rows(8), class_numbers(), None, Pairs(positive, negative))


BATCHES: dict[str, Callable[[], Batch]] = {
    "random": _random,
    "duplicates": _duplicates,
    "zeros": _zeros,
    "one_class": lambda: Batch(random_rows(6), torch.zeros(6, dtype=torch.int64)),
    "all_classes_distinct": lambda: Batch(random_rows(6), torch.arange(6)),
    "one_sample": lambda: Batch(random_rows(1), torch.tensor([2])),
    "empty": lambda: Batch(random_rows(0), torch.zeros(0, dtype=torch.int64)),
}
PAIRWISE_BATCHES: dict[str, Callable[[], Batch]] = {
    "own_references": _own_references,
    "strange_references": _strange_references,
    "given_pairs": _given_pairs,
}


def all_cases(name: str) -> list[Any]:
    """Return the lists called `name` of all files cases_*.py, joined."""
    found: list[Any] = []
    for path in sorted(Path(__file__).parent.glob("cases_*.py")):
        found += getattr(importlib.import_module(f"tests.contract.{path.stem}"), name, [])
    return found


def without_a_case(package: Any, cases: Iterable[Any]) -> list[str]:
    """Return the public names of a package, but for abstract classes, that no case makes or calls: functions, too."""
    made: set[Any] = {maker for case in cases for maker in (type(case.make()), case.make)}
    public = {name: getattr(package, name) for name in package.__all__}
    return [name for name, item in public.items() if not inspect.isabstract(item) and item not in made]

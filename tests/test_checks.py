"""Every number and every part that the constructor of a loss, miner, distance or relevance takes is looked at."""

import inspect
from typing import Any

import pytest
import torch

from metric_lightning import distances, losses, miners, relevance
from metric_lightning.checks import check_finite, check_positive, check_whole
from metric_lightning.distances import CosineDistance
from metric_lightning.losses import ContrastiveLoss, CrossBatchMemory, DynamicSoftMarginLoss, MarginLoss, WeightedSum
from metric_lightning.miners import AllPairs, BatchHard, TripletMargin
from metric_lightning.parts import Part

NEEDED: dict[str, Any] = {
    "loss": ContrastiveLoss(),
    "losses": [ContrastiveLoss()],
    "size": 4,
    "class_path": "ContrastiveLoss",
    "labels": [[0]],
    "relevance": relevance.SameLabel(),
    "matrix": [[1]],
}
PARTS: list[type[Part]] = [
    part
    for module in (losses, miners, distances, relevance)
    for part in (getattr(module, name) for name in module.__all__)
    if inspect.isclass(part) and not inspect.isabstract(part)
]
NUMBERS = [
    (part, name)
    for part in PARTS
    for name, parameter in inspect.signature(part).parameters.items()
    if parameter.annotation in (int, float, int | None, float | None)
]


def arguments(part: type[Part]) -> dict[str, Any]:
    parameters = inspect.signature(part).parameters.values()
    return {item.name: NEEDED[item.name] for item in parameters if item.default is inspect.Parameter.empty}


@pytest.mark.parametrize(("part", "name"), NUMBERS, ids=lambda item: getattr(item, "__name__", item))
def test_what_is_no_number_is_refused_by_name(part: type[Part], name: str):
    parameter = inspect.signature(part).parameters[name]
    wrong = [float("nan"), "1", True, [1], torch.tensor(1.0)]
    wrong += [2.5] if parameter.annotation in (int, int | None) else []
    wrong += [] if parameter.default is None or type(None) in getattr(parameter.annotation, "__args__", ()) else [None]
    for value in wrong:
        with pytest.raises(ValueError, match=rf"^{part.__name__}: {name} must be a (whole )?number( or None)?, got "):
            part(**{**arguments(part), name: value})


FINITE = [
    (part, name) for part, name in NUMBERS if name != "p" and "int" not in str(inspect.signature(part).parameters[name])
]


@pytest.mark.parametrize(("part", "name"), FINITE, ids=lambda item: getattr(item, "__name__", item))
@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_what_is_infinite_is_refused_by_name(part: type[Part], name: str, value: float):
    with pytest.raises(ValueError, match=rf"^{part.__name__}: .*{name}\b.*inf"):
        part(**{**arguments(part), name: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: miners.SemiHardNegative(-1.0),
            "SemiHardNegative: margin must be a finite number at least 0, got -1.0",
        ),
        (lambda: miners.DistanceWeighted(dimensions=0), "DistanceWeighted: dimensions must be at least 1, got 0"),
        (lambda: losses.TupletMarginLoss(margin=400), "margin must be a finite number at least 0 and at most 180"),
        (lambda: losses.CosFaceLoss(margin=5), "CosFaceLoss: margin must be a finite number at least 0 and at most 2"),
        (lambda: losses.PartialFCLoss(cosine_margin=5), "cosine_margin must be a .* and at most 2, got 5"),
        (
            lambda: MarginLoss(boundary_per_class=True, num_classes=0),
            "MarginLoss: num_classes must be at least 1, got 0",
        ),
        (lambda: MarginLoss(boundary_per_class=True).build(0, 2), "MarginLoss: num_classes must be at least 1, got 0"),
        (
            lambda: MarginLoss(boundary_per_class=True, num_classes=3).build(5, 2),
            "MarginLoss: num_classes is 3, but the data have 5; leave it out",
        ),
        (lambda: check_positive(1, "x", "2"), "int: x must be a finite number above 0, got 2"),
        (lambda: check_finite(1, "x", "2"), "int: x must be a finite number, got 2"),
        (lambda: check_whole(1, "x", 2.5), "int: x must be at least 1, got 2.5"),
        (lambda: WeightedSum([ContrastiveLoss()], weights=["1"]), "WeightedSum: weights must be a finite number"),
    ],
)
def test_numbers_out_of_bounds(make: Any, message: str):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ContrastiveLoss(miner=BatchHard()),
            "^ContrastiveLoss: miner must be a PairMiner or None, got BatchHard, which is a TripletMiner$",
        ),
        (lambda: losses.InfoNCELoss(miner=TripletMargin()), "got TripletMargin, which is a TripletMiner$"),
        (
            lambda: DynamicSoftMarginLoss(miner=AllPairs()),
            "must be a TripletMiner or None, got AllPairs, which is a Pair",
        ),
        (
            lambda: ContrastiveLoss(miner=CosineDistance()),
            "PairMiner or None, got CosineDistance, which is a Distance$",
        ),
        (lambda: ContrastiveLoss(miner=AllPairs), r"got the class AllPairs; AllPairs\(...\) makes one$"),
        (
            lambda: ContrastiveLoss(miner="AllPairs"),
            "ContrastiveLoss: miner must be a PairMiner or None, got 'AllPairs'$",
        ),
        (lambda: ContrastiveLoss(distance="cosine"), "distance must be a Distance or None, got 'cosine'$"),
        (lambda: ContrastiveLoss(relevance="x"), "relevance must be a Relevance or None, got 'x'$"),
        (lambda: ContrastiveLoss(relevance=torch.nn.ReLU()), r"must be a Relevance or None, got ReLU\(\)$"),
        (lambda: CrossBatchMemory(None, 4), "CrossBatchMemory: loss must be a MetricLoss, got None$"),
        (
            lambda: relevance.LabelsByClass([[0]], AllPairs()),
            "must be a Relevance or None, got AllPairs, which is a Miner$",
        ),
        (lambda: WeightedSum(ContrastiveLoss()), "WeightedSum: losses must be a list of at least one loss$"),
        (lambda: WeightedSum([torch.nn.CrossEntropyLoss()]), "each a MetricLoss, got CrossEntropyLoss$"),
    ],
)
def test_parts_of_another_kind(make: Any, message: str):
    with pytest.raises(ValueError, match=message):
        make()


class Own(ContrastiveLoss):
    """A loss of another project, whose annotations are looked at as ours are."""

    def __init__(self, factor: float, name: "str", table: dict[str, int], *more: Any):
        super().__init__(margin=factor)


def test_a_loss_of_another_project_is_looked_at_too():
    assert Own(2, "x", {}, 1, 2).margin == 2
    with pytest.raises(ValueError, match="Own: factor must be a number, got 'x'"):
        Own("x", "x", {})

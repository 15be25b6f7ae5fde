import functools
import json

import pytest
import torch
from torch import nn

from metric_lightning.losses import TripletMarginLoss
from metric_lightning.miners import SemiHardNegative
from metric_lightning.parts import Part, describe
from tests.contract.parts_from_plain import rebuild


class Plain(Part):
    def __init__(self, first: int, second: float = 2.0, *, third: str = "three"):
        self.values = (first, second, third)


class Child(Plain):
    def __init__(self, first: int):
        super().__init__(first, second=9.0)


class Silent(Part):
    pass


@pytest.mark.parametrize("part", [Plain(1), Plain(1, 3.0), Plain(first=4, third="x"), Child(5)])
def test_what_is_described_can_be_built_again(part):
    description = json.loads(json.dumps(describe(part)))
    again = rebuild(description)
    assert type(again) is type(part)
    assert again.values == part.values
    assert describe(again) == description


def test_only_what_was_given_is_described():
    assert describe(Plain(1, third="x"))["init_args"] == {"first": 1, "third": "x"}
    assert describe(Child(5))["init_args"] == {"first": 5}
    assert describe(Silent())["init_args"] == {}


def test_nested_parts_lists_mappings_and_partials():
    value = {"losses": [TripletMarginLoss(0.2, miner=SemiHardNegative()), None], "weights": (1.0, True)}
    found = describe(value)
    assert found["weights"] == [1.0, True]
    assert found["losses"][1] is None
    assert found["losses"][0]["init_args"]["miner"]["class_path"].endswith(".SemiHardNegative")
    partial = describe(functools.partial(torch.optim.Adam, lr=0.1))
    assert partial["class_path"].startswith("torch.optim.") and partial["init_args"] == {"lr": 0.1}


@pytest.mark.parametrize("value", [nn.Linear(2, 2), object(), torch.zeros(2), functools.partial(nn.Linear, 2)])
def test_what_can_not_be_described_says_so(value):
    with pytest.raises(TypeError, match="can't be described as plain data"):
        describe(value)


def test_later_changes_of_an_attribute_do_not_change_what_was_given():
    part = Plain(1)
    part.values = ()
    assert describe(part)["init_args"] == {"first": 1}

"""N ranks give the gradients of one process on the concatenated batch, for every loss, miner and memory."""

import inspect
from functools import cache

import pytest
import torch
from torch import Tensor

from metric_lightning import losses, miners
from metric_lightning.losses import MetricLoss
from tests.contract.case import all_cases
from tests.distributed.matrix import STEPS, Run, Setting, Step, run, run_all, settings
from tests.distributed.ranks import on_ranks

SETTINGS = settings()
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


# The histogram loss has bins 0.02 wide: its slopes blow up what the network's layers round, otherwise for 7 rows than
# for 11. One process is up to 1.0e-5 away from its own float64 result, ranks up to 2.9e-5 from one process, over all
# miners and memories. All other losses keep below 1e-5.
COARSE = {("histogram", torch.float32): 4e-5}


@cache
def on_many(world_size: int) -> list[dict[tuple[str, torch.dtype], Run | str]]:
    """Start the ranks once for all settings."""
    return on_ranks(world_size, run_all, list(SETTINGS), world_size)


def test_every_public_loss_and_miner_is_in_the_matrix():
    made = [setting.make() for setting in SETTINGS.values()]
    parts = {type(module) for loss in made for module in loss.modules()}
    for package, base in ((losses, MetricLoss), (miners, miners.Miner)):
        public = {getattr(package, name) for name in package.__all__}
        assert {item for item in public if issubclass(item, base) and not inspect.isabstract(item)} <= parts


def test_reasons_are_given_for_what_the_matrix_leaves_out():
    left_out = {case.name: case.exempt["ranks"] for case in all_cases("CASES") if "ranks" in case.exempt}
    assert all(len(reason) > 20 for reason in left_out.values())


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("world_size", STEPS)
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_ranks_equal_one_process(setting: Setting, world_size: int, dtype: torch.dtype):
    expected = run(setting, dtype, STEPS[world_size])
    ranks = [found[setting.name, dtype] for found in on_many(world_size)]
    tolerance = max(TOLERANCE[dtype], COARSE.get((setting.name.split("-")[0], dtype), 0.0))
    assert any(bool(gradient.any()) for step in expected.steps for gradient in step.network)
    for found in ranks:
        assert isinstance(found, Run), found
        for ours, theirs in zip(found.steps, expected.steps, strict=True):
            for part in Step._fields:
                assert off(getattr(ours, part), getattr(theirs, part)) <= tolerance, part
        # Memory, write position and draws, too, are those of one process, and on every rank the same.
        close = 10 * TOLERANCE[dtype]
        torch.testing.assert_close(found.state, expected.state, rtol=close, atol=close)
        torch.testing.assert_close(found.state, ranks[0].state, rtol=0, atol=0)


def off(found: list[Tensor], expected: list[Tensor]) -> float:
    """Relative error, of a list as a whole."""
    ours, theirs = (
        torch.cat([item.double().flatten() for item in part] or [torch.zeros(0)]) for part in (found, expected)
    )
    size = theirs.norm()
    return float((ours - theirs).norm() / size) if size > 0 else float(ours.norm())

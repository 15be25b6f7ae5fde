"""N ranks give the gradients of one process on the concatenated batch, for every loss, miner and memory."""

import inspect
from functools import cache
from typing import Any

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


# Settings that one process refuses in a sentence, and so must ranks.
REFUSED = {"-angular-memory": "the batch must be its own reference set"}
# Faults of one process, to be mended there; strict, so that a mended one can't stay here.
FAULTS = {"margin-triplet-margin": "MarginLoss does not take the TripletBand of TripletMarginMiner"}


def parameters() -> list[Any]:
    return [
        pytest.param(
            setting,
            id=setting.name,
            marks=[
                pytest.mark.xfail(reason=reason, raises=AttributeError, strict=True)
                for start, reason in FAULTS.items()
                if setting.name.startswith(start)
            ],
        )
        for setting in SETTINGS.values()
    ]


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
@pytest.mark.parametrize("setting", parameters())
def test_ranks_equal_one_process(setting: Setting, world_size: int, dtype: torch.dtype):
    refusal = next((sentence for end, sentence in REFUSED.items() if setting.name.endswith(end)), None)
    if refusal is not None:
        with pytest.raises(ValueError, match=refusal):
            run(setting, dtype, STEPS[world_size])
        assert all(refusal in str(found[setting.name, dtype]) for found in on_many(world_size))
        return
    expected = run(setting, dtype, STEPS[world_size])
    exactly = run(setting, torch.float64, STEPS[world_size])
    ranks = [found[setting.name, dtype] for found in on_many(world_size)]
    assert any(bool(gradient.any()) for step in expected.steps for gradient in step.network)
    for found in ranks:
        assert isinstance(found, Run), found
        for ours, theirs, exact in zip(found.steps, expected.steps, exactly.steps, strict=True):
            for part in Step._fields:
                # How far rounding alone moves one process: up to 1e-5 for the histogram loss, 1e-7 for most.
                rounding = 4 * off(getattr(theirs, part), getattr(exact, part))
                assert off(getattr(ours, part), getattr(theirs, part)) <= max(TOLERANCE[dtype], rounding), part
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

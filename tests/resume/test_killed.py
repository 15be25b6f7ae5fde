"""A run that is killed and resumed ends as if nothing had happened, to the last bit."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from metric_lightning.checkpoints import newest_checkpoint
from tests.resume.killed_run import EPOCH, STEPS, Kill, in_a_process

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")

HOOKS = ["on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end", "on_train_epoch_end"]
RANDOM = random.Random(5)
# Ten places for each number of workers: seven random ones, three around the ends of epochs.
PLACES = [(RANDOM.randrange(1, STEPS), RANDOM.choice(HOOKS)) for _ in range(7)]
PLACES += [(EPOCH, "on_train_batch_start"), (EPOCH, "on_train_epoch_end"), (2 * EPOCH, "on_train_epoch_start")]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    assert in_a_process(folder, 0, [], None) == 0
    return end_of(folder)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("step,hook", PLACES)
def test_killed_and_resumed_ends_the_same(step, hook, num_workers, tmp_path, uninterrupted):
    assert in_a_process(tmp_path, num_workers, [Kill(step, hook)], None) == -9
    last = newest_checkpoint(tmp_path)
    assert last is not None
    assert in_a_process(tmp_path, num_workers, [], last) == 0
    ours = end_of(tmp_path)
    same(ours["weights"], uninterrupted["weights"])
    same(ours["optimizers"], uninterrupted["optimizers"])
    assert Path(ours["best"][0]).name == Path(uninterrupted["best"][0]).name
    assert ours["best"][1] == uninterrupted["best"][1]


@pytest.mark.parametrize(
    "step,hook", [(6, "on_validation_start"), (4, "on_train_batch_start"), (9, "on_validation_end")]
)
def test_killed_around_a_validation_within_an_epoch(step, hook, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert in_a_process(whole, 0, [], None, val_check_interval=3) == 0
    assert in_a_process(killed, 0, [Kill(step, hook)], None, val_check_interval=3) == -9
    assert in_a_process(killed, 0, [], newest_checkpoint(killed), val_check_interval=3) == 0
    ours, expected = end_of(killed), end_of(whole)
    same(ours["weights"], expected["weights"])
    assert Path(ours["best"][0]).name == Path(expected["best"][0]).name


def end_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "end.pt")
    return found


def same(found: Any, expected: Any, path: str = "") -> None:
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key in expected:
            same(found[key], expected[key], f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for number, item in enumerate(expected):
            same(found[number], item, f"{path}.{number}")
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), path
    else:
        assert found == expected, path

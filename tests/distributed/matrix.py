"""The cases of the matrix: every public loss, with each of its miners, with and without memory, on given ranks."""

import copy
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from metric_lightning.losses import CrossBatchMemory, MetricLoss
from metric_lightning.miners import Miner
from metric_lightning.modules.ranks import loss_over_ranks
from metric_lightning.parts import describe
from tests.contract.case import CLASSES, DIMENSIONS, all_cases
from tests.contract.parts_from_plain import rebuild
from tests.distributed.ranks import averaged

FEATURES, ROWS = 5, 11
DTYPES = (torch.float64, torch.float32)

# Rows of each rank, step by step: uneven, none at all, nearly all.
STEPS: dict[int, list[tuple[int, ...]]] = {
    2: [(7, 4), (0, 11)],
    3: [(4, 1, 6), (3, 8, 0)],
}


@dataclass(frozen=True)
class Setting:
    """One loss of the matrix."""

    name: str
    make: Callable[[], MetricLoss]
    labels: Callable[[Tensor], Tensor]

    def loss(self, dtype: torch.dtype) -> MetricLoss:
        torch.manual_seed(1)
        loss = self.make()
        loss.build(CLASSES, DIMENSIONS)
        return loss.to(dtype)


class Step(typing.NamedTuple):
    """What a step of training gave; gradients as DDP leaves them."""

    value: list[Tensor]
    network: list[Tensor]
    loss: list[Tensor]


class Run(typing.NamedTuple):
    """All steps, and what the loss remembers then."""

    steps: list[Step]
    state: dict[str, Tensor]


def settings() -> dict[str, Setting]:
    """Return all, by name: each case; the first case of each loss with each of its miners; those with a memory, too."""
    found, first = [], []
    miners = {type(case.make()): case for case in reversed(all_cases("MINER_CASES"))}
    seen: set[type] = set()
    for case in all_cases("CASES"):
        if "ranks" in case.exempt:
            continue
        found.append(Setting(case.name, case.make, case.labels))
        kind = type(case.make())
        if kind in seen:
            continue
        seen.add(kind)
        first.append(found[-1])
        if _takes_miner(case.make()):
            first += [
                Setting(f"{case.name}-{miner.name}", _with_miner(case.make, miner.make), case.labels)
                for miner in miners.values()
                if _fits(kind, miner.make())
            ]
    remembering = [
        Setting(f"{setting.name}-memory", _with_memory(setting.make), setting.labels)
        for setting in first
        if _remembers(setting.make())
    ]
    return {setting.name: setting for setting in [*found, *first, *remembering]}


def _takes_miner(loss: MetricLoss) -> bool:
    return getattr(loss, "miner", self := object()) is not self and "miner" in inspect.signature(type(loss)).parameters


def _fits(kind: type, miner: Miner) -> bool:
    hint = typing.get_type_hints(kind.__init__)["miner"]
    return any(inspect.isclass(option) and isinstance(miner, option) for option in typing.get_args(hint))


def _with_miner(make: Callable[[], MetricLoss], make_miner: Callable[[], Miner]) -> Callable[[], MetricLoss]:
    def made() -> Any:
        description = describe(make())
        description["init_args"]["miner"] = describe(make_miner())
        return rebuild(description)

    return made


def _remembers(loss: MetricLoss) -> bool:
    miners = [part for part in loss.modules() if isinstance(part, Miner)]
    takes_references = not loss.learns_classes and all(miner.takes_references for miner in miners)
    return takes_references and not isinstance(loss, CrossBatchMemory)


def _with_memory(make: Callable[[], MetricLoss]) -> Callable[[], MetricLoss]:
    return lambda: CrossBatchMemory(make(), size=17)


def batch(step: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return inputs (ROWS, FEATURES) and class numbers (ROWS,) of a step, those of all ranks together."""
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(ROWS, FEATURES, generator=generator, dtype=torch.float64)
    return inputs.to(dtype), torch.tensor([0, 1, 0, 2, 1, 0, 2, 3, 1, 3, 0]).roll(step)


def network(dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    # Most losses don't see a shift of all embeddings: the gradient of a last bias would be nothing but rounding.
    layers = nn.Sequential(nn.Linear(FEATURES, 4), nn.Tanh(), nn.Linear(4, DIMENSIONS, bias=False))
    return layers.to(dtype)


def run(setting: Setting, dtype: torch.dtype, steps: list[tuple[int, ...]]) -> Run:
    """Train on this process's rows, or, where there is no process group, on those of all."""
    net, loss = network(dtype), setting.loss(dtype)
    done = []
    for number, sizes in enumerate(steps):
        inputs, labels = batch(number, dtype)
        if dist.is_initialized():
            inputs, labels = (rows.split(sizes)[dist.get_rank()] for rows in (inputs, labels))
        differentiated, value = loss_over_ranks(loss, net(inputs), setting.labels(labels))
        net.zero_grad()
        loss.zero_grad()
        differentiated.backward()
        done.append(Step([value], *_gradients(net, loss)))
    return Run(done, copy.deepcopy(loss.state_dict()))


def _gradients(*modules: nn.Module) -> list[list[Tensor]]:
    """Return those of each module, averaged over ranks."""
    parameters = [[parameter for parameter in module.parameters() if parameter.requires_grad] for module in modules]
    found = averaged([parameter for part in parameters for parameter in part])
    return [[found.pop(0) for _ in part] for part in parameters]


def run_all(names: list[str], world_size: int) -> dict[tuple[str, torch.dtype], Run | str]:
    """Run many settings one after the other; what each rank of the matrix does. An error is given back as text."""
    every = settings()
    found: dict[tuple[str, torch.dtype], Run | str] = {}
    for name in names:
        for dtype in DTYPES:
            try:
                found[name, dtype] = run(every[name], dtype, STEPS[world_size])
            except Exception as error:  # of this setting alone; the others go on
                found[name, dtype] = f"{type(error).__name__}: {error}"
    return found

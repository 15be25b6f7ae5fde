"""Value and gradient of every public loss and miner, beside the distance matrix and pytorch-metric-learning.

    OMP_NUM_THREADS=1 python -m benchmarks.losses                 (all sizes; about forty minutes)
    OMP_NUM_THREADS=1 python -m benchmarks.losses --quick         (up to 256 samples; two minutes)
    OMP_NUM_THREADS=1 python -m benchmarks.losses --large         (32,768 samples: time and memory of two)
    OMP_NUM_THREADS=1 python -m benchmarks.losses --only TripletMarginLoss SemiHardNegative --each 16 --sizes 512

The floor is a matrix of squared Euclidean distances by one matrix product, and its backward pass; of CrossBatchMemory
that of the batch to itself and to all that the memory holds. What is compared runs in turns in one process, on one
thread; figures are medians, and only the ratios mean anything on another machine. The peak is what the first call at a
size takes from the system, in a process of its own. On a machine with CUDA the same is measured there.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.loss_peers import DIMENSIONS, ours, peer
from benchmarks.turns import in_a_process, in_turns, peak_of, process_peak
from metric_lightning.losses import CrossBatchMemory, InfoNCELoss, PairwiseLoss, TripletMarginLoss


def floor(x: Tensor, labels: Tensor, remembered: Tensor | None = None) -> Tensor:
    columns = x if remembered is None else torch.cat([x, remembered])
    squares, others = (points.square().sum(dim=1) for points in (x, columns))
    return torch.addmm(squares[:, None] + others, x, columns.T, alpha=-2).sum()


def floor_of(loss: nn.Module, device: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the floor of what a loss compares the batch with: itself, and what a memory holds of earlier batches."""
    if not isinstance(loss, CrossBatchMemory):
        return floor
    return partial(floor, remembered=torch.randn(loss.size, DIMENSIONS, device=device))


def batch(size: int, each: int, device: str) -> tuple[Tensor, Tensor]:
    """Return embeddings of length 1, in classes that overlap, as in the middle of a training."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(size) // each
    centres = torch.randn(size, DIMENSIONS, generator=generator)
    x = nn.functional.normalize(centres[labels] + 2 * torch.randn(size, DIMENSIONS, generator=generator), dim=1)
    return x.to(device).requires_grad_(), labels.to(device)


def step(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, labels: Tensor) -> None:
    x.grad = None
    if isinstance(loss, nn.Module):
        loss.zero_grad(set_to_none=True)
    loss(x, labels).backward()


def measure(losses: list[Any], size: int, each: int, device: str, budget: float) -> list[float]:
    x, labels = batch(size, each, device)
    for loss in losses:
        if isinstance(loss, nn.Module):
            loss.to(device)
    return in_turns([partial(step, loss, x, labels) for loss in losses], budget, device)


def peak(name: str, size: int, each: int, device: str) -> float:
    loss = ours(max(1, size // each))[name].to(device)
    # What is loaded at the first call of all is no need of the loss.
    step(loss, *batch(2 * each, each, device))
    return peak_of(partial(step, loss, *batch(size, each, device)), device)


def table(size: int, each: int, device: str, options: argparse.Namespace) -> None:
    print(f"\n### N = {size}, D = {DIMENSIONS}, {each} a class, {device}\n")
    print("| loss or miner | ms | x floor | peak MiB | peer ms | peer / ours |")
    print("|---|---:|---:|---:|---:|---:|")
    ratios: list[float] = []
    classes = max(1, size // each)
    run = partial(in_a_process, limit=options.limit) if device == "cpu" else (lambda work: work())
    for name, loss in ours(classes).items():
        if options.only and name not in options.only:
            continue
        timing = run(partial(measure, [floor_of(loss, device), loss], size, each, device, options.budget))
        if isinstance(timing, str):
            print(f"| {name} | {timing} | | | | |", flush=True)
            continue
        lowest, taken = timing
        if isinstance(loss, PairwiseLoss):
            ratios.append(taken / lowest)
        print(
            f"| {name} | {taken * 1e3:.2f} | {taken / lowest:.2f} | {needed(name, size, each, device)} |",
            end="",
            flush=True,
        )
        print(against_peer(name, loss, size, each, classes, device, options, run), flush=True)
    if ratios:
        print(
            f"\nPairwise losses and miners: median {statistics.median(ratios):.2f}, most {max(ratios):.2f} x the floor."
        )


def needed(name: str, size: int, each: int, device: str) -> str:
    work = partial(peak, name, size, each, device)
    found = in_a_process(work, 300, "forkserver") if device == "cpu" else work()
    return found if isinstance(found, str) else f"{found:.0f}"


def against_peer(
    name: str, loss: Any, size: int, each: int, classes: int, device: str, options: argparse.Namespace, run: Any
) -> str:
    other = None if options.no_peer else peer(name, classes)
    if other is None:
        return " | |"
    timing = run(partial(measure, [loss, other], size, each, device, options.budget))
    if isinstance(timing, str):
        return f" {timing} | |"
    taken, theirs = timing
    return f" {theirs * 1e3:.2f} | {theirs / taken:.1f} |"


def large(make: Callable[[], nn.Module], device: str) -> tuple[float, float]:
    x, labels = batch(32768, 8, device)
    start = time.perf_counter()
    step(make().to(device), x, labels)
    taken = time.perf_counter() - start
    return taken, process_peak() if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20


def print_large(device: str) -> None:
    for name, make in (("all triplets", partial(TripletMarginLoss, 0.2)), ("InfoNCE", InfoNCELoss)):
        found = in_a_process(partial(large, make, device), 3600) if device == "cpu" else large(make, device)
        if isinstance(found, str):
            raise RuntimeError(f"{name}: {found}")
        taken, most = found
        print(f"{name}, N = 32768: {taken:.1f} s, memory at most {most / 1024:.2f} GiB", flush=True)


def machine() -> str:
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    graphics = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}{graphics}; one thread; torch {torch.__version__}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--each", type=int, default=8, help="samples of each class")
    parser.add_argument("--only", nargs="+", default=[], help="names of losses and miners")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which one measurement is given up")
    parser.add_argument("--budget", type=float, default=1.0, help="seconds of repetitions for each")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--quick", action="store_true", help="up to 256 samples, few repetitions")
    parser.add_argument("--large", action="store_true", help="only time and memory at 32,768 samples")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.budget, options.limit = [64, 256], 0.1, 20.0
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(machine())
    if options.large:
        print_large(device)
        return
    for size in options.sizes:
        table(size, options.each, device, options)


if __name__ == "__main__":
    main()

"""Timing functions in turns, and the memory one needs, in processes of their own that may be given up."""

import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Literal, TypeVar

import torch

T = TypeVar("T")


def in_turns(runs: list[Callable[[], object]], budget: float, device: str) -> list[float]:
    """Return the median seconds of each function; in turns, so that what else the machine does meets all alike."""
    for run in runs:
        run()
    taken: list[list[float]] = [[] for _ in runs]
    started = time.perf_counter()
    while len(taken[0]) < 3 or (time.perf_counter() - started < budget and len(taken[0]) < 200):
        for k, run in enumerate(runs):
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            taken[k].append(time.perf_counter() - start)
    return [statistics.median(times) for times in taken]


def in_a_process(work: Callable[[], T], limit: float, start: Literal["fork", "forkserver"] = "fork") -> T | str:
    """Return what `work` returns, or in words that it failed or took more than `limit` seconds.

    What the process leaves in memory goes with it. A fork starts at once, but has its parent's free memory, and needs
    no more from the system before that is used up: memory is measured in a fork of a server that has only imported.
    """
    context = multiprocessing.get_context(start)
    context.set_forkserver_preload(["benchmarks.loss_peers"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(work, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(limit) else f"over {limit:.0f} s"
    except EOFError:
        return "killed"
    finally:
        process.kill()
        process.join()


def process_peak() -> float:
    """Return the most memory this process has held, in MiB."""
    return memory("VmHWM")


def _answer(work: Callable[[], object], sender: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        sender.send(work())
    except (RuntimeError, MemoryError) as error:
        sender.send("out of memory" if "alloc" in str(error) else f"fails ({type(error).__name__})")


def peak_of(run: Callable[[], object], device: str) -> float:
    """Return what a run needs beyond what is held before it, in MiB."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    forget_peak()
    before = memory("VmRSS")
    run()
    return memory("VmHWM") - before


def forget_peak() -> None:
    """Let the most held start again from what is held now."""
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")


def memory(name: str) -> float:
    """Return a figure of this process's memory, VmRSS (held) or VmHWM (the most held), in MiB; Linux only."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()

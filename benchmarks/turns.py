"""Timing functions in turns, each in a process of its own that may be given up, with the peak of its memory."""

import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch


class Timing(NamedTuple):
    """Median seconds of each function, as ordered, and what the last one needed beyond what was held, in MiB."""

    seconds: list[float]
    peak: float


def in_turns(runs: list[Callable[[], object]], budget: float, device: str) -> Timing:
    """Time functions in turns, so that what else the machine does meets all alike."""
    for run in runs:
        run()
    peak = _peak_of(runs[-1], device)
    taken: list[list[float]] = [[] for _ in runs]
    started = time.perf_counter()
    while len(taken[0]) < 3 or (time.perf_counter() - started < budget and len(taken[0]) < 200):
        for k, run in enumerate(runs):
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            taken[k].append(time.perf_counter() - start)
    return Timing([statistics.median(times) for times in taken], peak)


def in_a_process(work: Callable[[], Timing], limit: float) -> Timing | str:
    """Return what `work` returns, or in words that it failed or took more than `limit` seconds.

    The process is a fork: it starts at once, and what it leaves in memory goes with it.
    """
    context = multiprocessing.get_context("fork")
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


def _answer(work: Callable[[], Any], sender: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        sender.send(work())
    except (RuntimeError, MemoryError) as error:
        sender.send("out of memory" if "alloc" in str(error) else f"fails ({type(error).__name__})")


def _peak_of(run: Callable[[], object], device: str) -> float:
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

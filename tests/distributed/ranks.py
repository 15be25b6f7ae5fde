"""Runs a function on several ranks: forked processes with gloo, one thread each."""

import os
import socket
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

TIMEOUT = timedelta(seconds=60)


def on_ranks(world_size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return what `work(*arguments)` returns on each rank: anything that `torch.save` takes.

    Raises:
        AssertionError: with the traceback of a rank that raised.
    """
    return _started(world_size, _join, work, arguments)


def as_torchrun(world_size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Do the same in processes that are not joined yet, but told by torchrun's variables what they are."""
    return _started(world_size, partial(tell_as_torchrun, port=free_port()), work, arguments)


def _started(world_size: int, begin: Callable[..., None], work: Callable[..., Any], arguments: Any) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(
            _rank, args=(world_size, folder, begin, work, arguments), nprocs=world_size, start_method="fork", join=True
        )
        results = [torch.load(Path(folder, f"{rank}.pt"), weights_only=False) for rank in range(world_size)]
    for rank, (error, _) in enumerate(results):
        assert error is None, f"rank {rank} of {world_size}:\n{error}"
    return [result for _, result in results]


def _rank(
    rank: int, world_size: int, folder: str, begin: Callable[..., None], work: Callable[..., Any], arguments: Any
) -> None:
    torch.set_num_threads(1)
    begin(rank, world_size, folder)
    error, result = None, None
    try:
        result = work(*arguments)
    except Exception:
        error = traceback.format_exc()
    torch.save((error, result), Path(folder, f"{rank}.pt"))
    if error is None and dist.is_initialized():
        dist.destroy_process_group()


def _join(rank: int, world_size: int, folder: str) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size, timeout=TIMEOUT
    )


def tell_as_torchrun(rank: int, world_size: int, folder: str, port: int) -> None:
    """Tell a Trainer in this process that torchrun started it as one of several."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def averaged(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the gradients as DDP makes them: the mean over ranks, of nothing as of zeros."""
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
    if dist.is_initialized():
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
    parts = flat.split([parameter.numel() for parameter in parameters])
    return [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]

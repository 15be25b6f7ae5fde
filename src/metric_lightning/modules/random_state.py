"""Where the random number streams of a process stand: dropout's among them, which no seed of ours reaches.

Draws of batches, augmentation and mining are functions of a seed and a position and need none of this.
"""

import random
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from metric_lightning.modules.gather import lost_ranks_named, world_size

RandomState = dict[str, Any]


def random_state() -> RandomState:
    """Return the state of PyTorch's, NumPy's and Python's streams as plain data and tensors."""
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    words = torch.from_numpy(np.asarray(keys, dtype=np.int64))
    state: RandomState = {
        "torch": torch.get_rng_state(),
        "numpy": (str(name), words, int(place), int(has_gauss), float(gauss)),
        "python": _python_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: RandomState) -> None:
    """Put the streams back to where they were."""
    torch.set_rng_state(state["torch"].cpu())
    name, keys, place, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), place, has_gauss, gauss))
    version, words, spare = state["python"]
    random.setstate((version, tuple(words.tolist()), spare))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


def _python_state() -> tuple[int, torch.Tensor, float | None]:
    version, words, spare = random.getstate()
    return version, torch.tensor(words, dtype=torch.int64), spare


def random_states_of_ranks() -> list[RandomState]:
    """Return the state of each rank; all ranks must call."""
    if world_size() == 1:
        return [random_state()]
    states: list[RandomState] = [{} for _ in range(world_size())]
    with lost_ranks_named():
        dist.all_gather_object(states, random_state())
    return states

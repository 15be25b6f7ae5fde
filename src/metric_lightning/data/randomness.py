"""Random numbers as a function of the seed, the epoch and the place in the epoch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def generator(*keys: int) -> np.random.Generator:
    """Return a generator for these non-negative integers: the same keys, the same numbers.

    Example:
        >>> bool((generator(0, 3).permutation(9) == generator(0, 3).permutation(9)).all())
        True
    """
    return np.random.default_rng(np.random.SeedSequence(keys))


def hashed(seed: int, *coordinates: Any) -> NDArray[np.uint64]:
    """Return uint64 random bits, a function of the seed and of the integers given, elementwise
    (broadcast).

    SplitMix64 (Steele, Lea, Flood 2014), one round for each coordinate.

    Example:
        >>> bits = hashed(0, np.arange(4), 7)
        >>> bool(bits[2] == hashed(0, 2, 7))
        True
    """
    bits = _mixed(np.asarray([seed], dtype=np.uint64))
    for coordinate in coordinates:
        bits = _mixed(bits + np.asarray(coordinate).astype(np.uint64))
    return bits


@contextmanager
def torch_random_restored() -> Iterator[torch.Generator]:
    """Lend torch's CPU generator, to be seeded at will; its state is put back at the end.

    `torch.manual_seed` would reseed the devices too, and with them the dropout of a model in
    training.
    """
    lent = torch.default_generator
    state = lent.get_state()
    try:
        yield lent
    finally:
        lent.set_state(state)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))

"""Random numbers as a function of what they are for, not of who draws them or when.

A miner's draw for an anchor depends on (seed, step, anchor, column) alone, so blocks of rows, or ranks with their share
of the rows, draw exactly what one process would on the whole batch.
"""

import torch
from torch import Tensor

_MASK = (1 << 63) - 1
_LOW_BITS = (1 << 32) - 1
_ALL_BITS = (1 << 64) - 1


def anchor_keys(seed: int, step: int, anchors: Tensor) -> Tensor:
    """Return a random key (N,) int64 >= 0 for each anchor number, new at every step.

    Example:
        >>> a = anchor_keys(0, 1, torch.arange(4))
        >>> bool((a[2:] == anchor_keys(0, 1, torch.arange(2, 4))).all())
        True
    """
    start = _scramble_integer(_scramble_integer(seed) + step)
    return _scramble(anchors + start)


def pair_keys(keys: Tensor, columns: Tensor) -> Tensor:
    """Return a random key, int64 >= 0, for each anchor's key with a column number, elementwise (broadcast)."""
    return _scramble(_scramble(columns) + keys)


def random_bits(keys: Tensor, columns: int) -> Tensor:
    """Return (N, columns) int32 in [0, 2^31), a function of each row's key and of the column number.

    Args:
        keys: (N,) int64.
        columns: their number.
    """
    # 32-bit products wrap around; two rounds of multiply and shift are enough for choosing among columns.
    row = (keys & 0x7FFFFFFF).to(torch.int32)
    column = (_scramble(torch.arange(columns, device=keys.device)) & 0x7FFFFFFF).to(torch.int32)
    bits = row[:, None] ^ column
    bits = bits.mul_(0x7FEB352D).bitwise_xor_(bits.bitwise_right_shift(15)).mul_(0x3C6EF372 | 1)
    return bits.bitwise_xor_(bits.bitwise_right_shift(16)).bitwise_and_(0x7FFFFFFF)


def random_below(keys: Tensor, limit: int | Tensor) -> Tensor:
    """Return a random number in [0, limit), int64, for each key; 0 where the limit is 0.

    Limits must be below 2^31; a number's chance is 1 / limit within 2^-32.

    Example:
        >>> random_below(torch.arange(1000), 4).unique()
        tensor([0, 1, 2, 3])
    """
    return ((_scramble(keys) & _LOW_BITS) * limit) >> 32


def _scramble(values: Tensor) -> Tensor:
    """One round of SplitMix64 (Steele et al. 2014) on int64, result >= 0."""
    values = values.to(torch.int64) + -0x61C8864680B583EB
    values.bitwise_xor_((values >> 30) & 0x3FFFFFFFF).mul_(-0x40A7B892E31B1A47)
    values.bitwise_xor_((values >> 27) & 0x1FFFFFFFFF).mul_(-0x6B2FB644ECCEEE15)
    return values.bitwise_xor_((values >> 31) & 0x1FFFFFFFF).bitwise_and_(_MASK)


def _scramble_integer(value: int) -> int:
    """The same round on a Python integer."""
    value = (value + 0x9E3779B97F4A7C15) & _ALL_BITS
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _ALL_BITS
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _ALL_BITS
    return (value ^ (value >> 31)) & _MASK

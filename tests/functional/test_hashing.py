import pytest
import torch

from metric_lightning.functional import hashing


def split_mix(value: int) -> int:
    """SplitMix64 as published."""
    all_bits = (1 << 64) - 1
    value = (value + 0x9E3779B97F4A7C15) & all_bits
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & all_bits
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & all_bits
    return value ^ (value >> 31)


@pytest.mark.parametrize("value", [0, 1, 12345, (1 << 62) + 7])
def test_tensors_and_integers_are_scrambled_alike(value: int):
    expected = split_mix(value) & ((1 << 63) - 1)
    assert hashing._scramble_integer(value) == expected
    assert int(hashing._scramble(torch.tensor(value))) == expected


def test_what_is_scrambled_stays_as_it_was():
    values = torch.arange(4)
    hashing._scramble(values)
    assert values.tolist() == [0, 1, 2, 3]


def test_keys_depend_on_seed_step_and_anchor_alone():
    keys = hashing.anchor_keys(3, 7, torch.arange(100))
    assert len(keys.unique()) == 100
    assert torch.equal(hashing.anchor_keys(3, 7, torch.tensor([40, 2])), keys[[40, 2]])
    assert not torch.equal(hashing.anchor_keys(3, 8, torch.arange(100)), keys)
    assert not torch.equal(hashing.anchor_keys(4, 7, torch.arange(100)), keys)


def test_numbers_below_a_limit_are_uniform():
    limits = torch.tensor([3, 10, 1, 0])
    drawn = hashing.random_below(torch.arange(40000).view(-1, 1), limits)
    for column, limit in enumerate([3, 10]):
        counts = torch.bincount(drawn[:, column], minlength=limit)
        assert len(counts) == limit
        assert ((counts - 40000 / limit).abs() < 5 * (40000 / limit) ** 0.5).all()
    assert not drawn[:, 2:].any()


def test_bits_are_balanced_and_unlike_between_rows_and_columns():
    bits = hashing.random_bits(hashing.anchor_keys(0, 0, torch.arange(200)), 200)
    assert bits.dtype == torch.int32
    assert bits.min() >= 0
    for position in range(31):
        assert abs(float(((bits >> position) & 1).double().mean()) - 0.5) < 0.02
    ranks = bits.argsort(dim=1).argsort(dim=1).double()
    assert torch.corrcoef(ranks).fill_diagonal_(0).abs().max() < 0.4
    assert torch.corrcoef(ranks.T).fill_diagonal_(0).abs().max() < 0.4

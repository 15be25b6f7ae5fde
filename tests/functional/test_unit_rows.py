"""Unit rows against a float64 loop, in every precision and for every length."""

import math

import pytest
import torch

from metric_lightning.functional.unit_rows import unit_rows


def oracle(rows: list[list[float]]) -> list[list[float]]:
    lengths = [math.hypot(*row) for row in rows]
    return [
        [component / length if length else 0.0 for component in row] for row, length in zip(rows, lengths, strict=True)
    ]


@pytest.mark.parametrize("length", [1e-30, 1e-12, 1.0, 1e12, 1e30])
def test_equals_the_oracle_at_any_length(length: float) -> None:
    rows = torch.randn(5, 7) * length
    expected = torch.tensor(oracle(rows.tolist()))
    torch.testing.assert_close(unit_rows(rows), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite(dtype: torch.dtype) -> None:
    rows = torch.cat([torch.randn(4, 6) * 10_000, torch.zeros(1, 6), torch.full((1, 6), 1e-7)])
    rows = rows.to(dtype).requires_grad_()
    result = unit_rows(rows)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, torch.tensor(oracle(rows.tolist())))
    result.square().sum().backward()
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


def test_gradient() -> None:
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit_rows, rows)
    assert unit_rows(rows).dtype == torch.float64


def test_zero_rows_stay_zero_with_zero_gradient() -> None:
    rows = torch.zeros(2, 3, requires_grad=True)
    unit_rows(rows).sum().backward()
    assert rows.grad is not None
    assert rows.grad.eq(0).all()


def test_no_rows() -> None:
    assert unit_rows(torch.zeros(0, 4)).shape == (0, 4)

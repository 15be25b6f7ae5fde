"""Inner products of a few pairs of long rows, without a product of whole matrices."""

import warnings
from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only


def row_products(left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return <left[rows_t], right[columns_t]> for each t (T,): O(T M) work, value and gradient.

    Args:
        left: (N, M).
        right: (U, M).
        rows: (T,) int64, ascending.
        columns: (T,) int64, ascending within a row, no pair twice.

    Example:
        >>> row_products(torch.eye(2), torch.tensor([[3.0, 4.0]]), torch.tensor([0, 1]), torch.tensor([0, 0]))
        tensor([3., 4.])
    """
    result: Tensor = _RowProducts.apply(left, right, rows, columns)
    return result


def _compressed(rows: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    starts = torch.nn.functional.pad(torch.bincount(rows, minlength=size[0]).cumsum(0), (1, 0))
    with warnings.catch_warnings():
        # torch calls its compressed rows beta; what is used here is covered by our tests.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)


class _RowProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(left, right, rows, columns)
        if not len(rows):
            return left.new_zeros(0)
        wanted = _compressed(rows, columns, left.new_zeros(len(rows)), (len(left), len(right)))
        return torch.sparse.sampled_addmm(wanted, left, right.T, beta=0.0).values()

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        left, right, rows, columns = ctx.saved_tensors
        size = (len(left), len(right))
        to_left = _compressed(rows, columns, gradient, size) @ right
        order = columns.argsort(stable=True)
        to_right = _compressed(columns[order], rows[order], gradient[order], size[::-1]) @ left
        return to_left, to_right, None, None

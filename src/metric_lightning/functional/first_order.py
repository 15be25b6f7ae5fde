"""Backward passes that can't be differentiated again say so."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

Backward = Callable[..., Any]


def first_order_only(backward: Backward) -> Backward:
    """Return the backward pass of an autograd function, refusing to be part of a second derivative.

    `torch.autograd.function.once_differentiable` is silent where the incoming gradient is a constant, as that of a loss
    is: gradients through gradients (`create_graph=True`, in meta-learning or gradient penalties) lose a term.

    Raises:
        RuntimeError: a graph of the backward pass is asked for.
    """

    @wraps(backward)
    def once(ctx: Any, *gradients: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                f"{type(ctx).__name__} has no second derivative: leave out create_graph=True, or write this part in "
                "plain PyTorch"
            )
        return backward(ctx, *gradients)

    return once

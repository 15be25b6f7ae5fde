"""One batch is not all batches: `limit_train_batches: 1` stays a whole number.

Python keeps the unions of types that it has made, and gives `Optional[Union[float, int]]` for `Optional[Union[int,
float]]` where it has seen the former: which of the two an argument of the Trainer has depends on what was imported
before. Where float comes first, the command line reads 1 (one batch) as 1.0 (all of them).
"""

import inspect
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin


def whole_numbers_first(function: Callable[..., Any]) -> None:
    """Let int come before float in each union of a function's annotations.

    Example:
        >>> def run(batches: Union[float, int, None] = None): ...
        >>> whole_numbers_first(run)
        >>> get_args(run.__annotations__["batches"])[0]
        <class 'int'>
    """
    annotations = inspect.unwrap(function).__annotations__
    for name, annotation in annotations.items():
        parts = get_args(annotation)
        if get_origin(annotation) is Union and int in parts and float in parts:
            others = tuple(part for part in parts if part is not int)
            annotations[name] = Union[(int, *others)]  # flat: such a union is kept by the order of its parts

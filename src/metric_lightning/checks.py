"""What the arguments of a part must be, said in one sentence where they are not.

Types are known from the annotations of a constructor, so one look serves all parts: bases of losses, miners, distances
and relevances take it before anything is made. Bounds are the constructor's own affair.
"""

import inspect
import reprlib
from itertools import takewhile
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from metric_lightning.parts import Part

_WORDS = {float: "a number", int: "a whole number", NoneType: "None"}


def check_arguments(part: Part) -> None:
    """Raise ValueError where an argument is not the number or the part that its annotation asks for; NaN is no number.

    Example:
        >>> class Twice(Part):
        ...     def __init__(self, number: int):
        ...         check_arguments(self)
        >>> Twice(1.5)
        Traceback (most recent call last):
        ValueError: Twice: number must be a whole number, got 1.5
    """
    parameters = inspect.signature(type(part).__init__).parameters
    for name, value in part.given_arguments().items():
        annotation = parameters[name].annotation
        kinds = get_args(annotation) if get_origin(annotation) in (UnionType, Union) else (annotation,)
        if all(kind in _WORDS or _is_part(kind) for kind in kinds) and not any(_fits(value, kind) for kind in kinds):
            wanted = " or ".join(_WORDS.get(kind) or f"a {kind.__name__}" for kind in kinds)
            raise ValueError(f"{type(part).__name__}: {name} must be {wanted}, got {_shown(value, kinds)}")


def check_positive(owner: object, name: str, value: float, zero: bool = False, most: float = float("inf")) -> float:
    """Return `value`, or raise ValueError where it is not finite, above 0 (`zero`: at least 0) and at most `most`."""
    fits = _fits(value, float) and value < float("inf") and value <= most and (value > 0 or (zero and value == 0))
    if not fits:
        bound = "at least 0" if zero else "above 0"
        end = "" if most == float("inf") else f" and at most {most:g}"
        raise ValueError(f"{type(owner).__name__}: {name} must be a finite number {bound}{end}, got {value}")
    return float(value)


def check_finite(owner: object, name: str, value: float) -> float:
    """Return `value`, or raise ValueError where it is no finite number."""
    if not (_fits(value, float) and abs(value) < float("inf")):
        raise ValueError(f"{type(owner).__name__}: {name} must be a finite number, got {value}")
    return float(value)


def check_whole(owner: object, name: str, value: int, least: int = 1) -> int:
    """Return `value`, or raise ValueError where it is no whole number of at least `least`."""
    if not (_fits(value, int) and value >= least):
        raise ValueError(f"{type(owner).__name__}: {name} must be at least {least}, got {value}")
    return int(value)


def _is_part(kind: Any) -> bool:
    return inspect.isclass(kind) and get_origin(kind) is None and issubclass(kind, Part)


def _fits(value: Any, kind: Any) -> bool:
    if kind in (float, int):
        number = isinstance(value, Real if kind is float else Integral) and not isinstance(value, bool)
        return number and bool(value == value)  # NaN is not itself
    return isinstance(value, kind)


def _shown(value: Any, kinds: tuple[Any, ...]) -> str:
    if inspect.isclass(value):
        return f"the class {value.__name__}; {value.__name__}(...) makes one"
    if not isinstance(value, Part):
        return reprlib.repr(value)
    # Of the classes that make it what it is, the one that sets it apart from what is wanted: a TripletMiner, say.
    apart = takewhile(lambda base: not any(issubclass(kind, base) for kind in kinds), type(value).__mro__)
    return ", which is a ".join(dict.fromkeys([type(value).__name__, list(apart)[-1].__name__]))

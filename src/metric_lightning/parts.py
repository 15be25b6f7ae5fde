"""Parts: objects that a YAML can name, and that can say how they were made.

A checkpoint must rebuild its module from itself alone, also when the module was built in Python. Pickled modules are
no way to do that (they need the very source they were pickled from, and run code when loaded), so every part remembers
the arguments of its constructor and `describe` turns it into the plain data that a YAML would have held.
"""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

Description = dict[str, Any]


class Part:
    """Base of everything that a YAML can name: networks, losses, miners, distances, batches, metrics.

    A subclass writes a plain `__init__` with explicit arguments; nothing is to be registered.

    Example:
        >>> class Margin(Part):
        ...     def __init__(self, value: float = 1.0):
        ...         self.value = value
        >>> describe(Margin(0.5))["init_args"]
        {'value': 0.5}
    """

    _given: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Remember the constructor's arguments before any `__init__` runs."""
        part = super().__new__(cls)
        part.__dict__["_given"] = (args, kwargs)
        return part

    def given_arguments(self) -> dict[str, Any]:
        """Return the arguments that the constructor was called with, by name; defaults left out."""
        args, kwargs = self._given
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        return dict(list(bound.arguments.items())[1:])


def describe(value: Any) -> Any:
    """Return `value` as plain data from which jsonargparse (or a reader) can build it again.

    Args:
        value: a part, a `functools.partial` of a class, a list, tuple or mapping of such, or a plain scalar.

    Returns:
        `{"class_path": ..., "init_args": {...}}` for parts and partials, containers of plain data otherwise.

    Raises:
        TypeError: something in `value` can't be described, an `nn.Module` that is no part for instance.
    """
    if isinstance(value, Part):
        return _description(type(value), value.given_arguments())
    if isinstance(value, functools.partial):
        # Of a class; or as jsonargparse makes it, of a function that is given the class.
        made = [item for item in (value.func, *value.args) if isinstance(item, type)]
        if len(made) == 1 and len(value.args) == (made[0] is not value.func):
            return _description(made[0], value.keywords)
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(
        f"{type(value).__module__}.{type(value).__qualname__} can't be described as plain data; "
        "derive it from metric_lightning.parts.Part"
    )


def _description(cls: type, arguments: Mapping[str, Any]) -> Description:
    return {
        "class_path": f"{cls.__module__}.{cls.__qualname__}",
        "init_args": {name: describe(item) for name, item in arguments.items()},
    }

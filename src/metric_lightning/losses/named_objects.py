"""Objects of the package pytorch-metric-learning made from what a YAML says of them: a name, and arguments.

Arguments may hold {"class_path": ..., "init_args": {...}} in turn, alone or in lists and mappings.
"""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from metric_lightning.errors import UserError

_PACKAGE = "pytorch_metric_learning"
_KINDS = ("losses", "distances", "reducers", "regularizers", "miners")
_BASE = "is a base class of losses; name one of its subclasses"
_REFUSED = {
    "BaseLossWrapper": _BASE,
    "BaseMetricLossFunction": _BASE,
    "EmbeddingRegularizerMixin": _BASE,
    "GenericPairLoss": _BASE,
    "ManifoldLoss": "takes no labels: it learns from groups of classes that it draws itself",
    "SelfSupervisedLoss": "takes two views without labels; name the loss within: views of a sample have one label",
    "VICRegLoss": "takes two views without labels; metric_lightning.losses.VICRegLoss finds the views by their labels",
    "WeightRegularizerMixin": _BASE,
}


def find_class(kinds: Sequence[str], name: str) -> type[nn.Module]:
    """Return the class of that import path, or of that name among the package's losses, distances, ..."""
    path, _, last = name.rpartition(".")
    paths = [path] if path else [f"{_PACKAGE}.{kind}" for kind in kinds]
    try:
        modules = [importlib.import_module(each) for each in paths]
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == _PACKAGE:
            raise UserError(
                f"{name} is in the package pytorch-metric-learning: pip install pytorch-metric-learning"
            ) from error
        raise UserError(f"{name} can't be imported: {error}") from error
    module = next((module for module in modules if hasattr(module, last)), None)
    if module is None:
        raise UserError(f"{path} has no {last}" if path else f"{_PACKAGE} has no {last} among its {', '.join(kinds)}")
    found: type[nn.Module] = getattr(module, last)
    if last in _REFUSED and found.__module__.partition(".")[0] == _PACKAGE:
        raise UserError(f"PytorchMetricLearningLoss: {last} {_REFUSED[last]}")
    return found


def _parts(value: Any) -> tuple[type[nn.Module], Mapping[str, Any]] | None:
    """Return what {"class_path", "init_args"} names, None where it is something else."""
    if not isinstance(value, Mapping) or "class_path" not in value:
        return None
    return find_class(_KINDS, value["class_path"]), value.get("init_args") or {}


def _made(value: Any, sizes: Mapping[str, Any]) -> Any:
    """Return the argument with {"class_path", "init_args"} made into objects."""
    if isinstance(value, list):
        return [_made(item, sizes) for item in value]
    if not isinstance(value, Mapping):
        return value
    if named := _parts(value):
        return construct(*named, sizes)
    return {key: _made(item, sizes) for key, item in value.items()}


def asked_arguments(type_: type[nn.Module], arguments: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Return the names of the arguments of a class and of those within, and whether each is given."""
    found = [(name, name in arguments) for name in _names(type_)]
    open_: list[Any] = list(arguments.values())
    while open_:
        value = open_.pop()
        if named := _parts(value):
            found += asked_arguments(*named)
        elif isinstance(value, list | Mapping):
            open_ += value if isinstance(value, list) else value.values()
    return found


def _names(type_: type) -> set[str]:
    """Return the names of all arguments, those that go on to a base class by **kwargs too."""
    names: set[str] = set()
    for base in type_.__mro__:
        if "__init__" in base.__dict__:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            names |= {p.name for p in parameters}
            if not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
                break
    return names


def construct(type_: type[nn.Module], arguments: Mapping[str, Any], sizes: Mapping[str, Any]) -> nn.Module:
    """Make an object, with the sizes that it takes and is not given."""
    known = {name: size for name, size in sizes.items() if name in _names(type_)}
    made = {key: _made(value, sizes) for key, value in arguments.items()}
    try:
        return type_(**{**known, **made})
    except TypeError as error:
        raise UserError(f"{type_.__name__}: {error}") from error

"""The packages whose public names the reference shows; losses and miners have pages of their own."""

import pkgutil
from importlib.util import find_spec

import metric_lightning

_OWN_PAGES = ("losses", "miners")
# Single files that are public as they are, and a package of files of functions.
_FILES = ("distances", "relevance", "functional", "types")


def _lists_its_names(name: str) -> bool:
    spec = find_spec(f"metric_lightning.{name}")
    if spec is None or spec.origin is None:
        return False
    with open(spec.origin, encoding="utf-8") as file:
        return "__all__ = [" in file.read()


def _packages() -> list[str]:
    found = [part.name for part in pkgutil.iter_modules(metric_lightning.__path__) if part.ispkg]
    return [name for name in found if name not in _OWN_PAGES and _lists_its_names(name)]


PACKAGES = {name: name.replace("_", " ").capitalize() for name in dict.fromkeys([*_packages(), *_FILES])}

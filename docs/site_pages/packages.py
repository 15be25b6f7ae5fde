"""The packages whose public names the reference shows; losses and miners have pages of their own."""

import pkgutil
from importlib.util import find_spec

import metric_lightning

_OWN_PAGES = ("losses", "miners")
# Single files that are public as they are, and a package of files of functions.
_FILES = ("distances", "relevance", "functional", "types", "parts", "errors")


def _lists_its_names(name: str) -> bool:
    spec = find_spec(f"metric_lightning.{name}")
    if spec is None or spec.origin is None:
        return False
    with open(spec.origin, encoding="utf-8") as file:
        return "__all__ = [" in file.read()


def _packages() -> list[str]:
    start = f"{metric_lightning.__name__}."
    found = [part.name for part in pkgutil.walk_packages(metric_lightning.__path__, start) if part.ispkg]
    names = [name.removeprefix(start) for name in found]
    listing = {name for name in names if _lists_its_names(name)}
    # What a package inside another defines, the outer one lists.
    return [name for name in names if name in listing - set(_OWN_PAGES) and name.rpartition(".")[0] not in listing]


def _title(name: str) -> str:
    return name.replace(".", ": ").replace("_", " ").capitalize()


PACKAGES = {name: _title(name) for name in dict.fromkeys([*_packages(), *_FILES])}

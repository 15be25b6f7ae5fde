"""One sentence of the parser's long messages on parts: classes with arguments, as YAML names them."""

import ast
import re

_ABSTRACT = re.compile(r"Expected an instantiatable class, but \S+ is abstract.*NestedArg\(key='([^']+)'", re.DOTALL)
_OTHER_BASE = re.compile(r"Import path (?:(\S+) )?does not correspond to a subclass of (\S+)")
_NO_PART = re.compile(r"Not a valid subclass of (\w+)(?:\. Got value: ([^\n]*))?\n")
_GIVEN = re.compile(r"Given value: ([^\n]*)\s*$")
_KEY = re.compile(r"Parser key \"([^\"]+)\"")
_KEYS = ("class_path", "init_args", "dict_kwargs")
_LONGEST = 60


def class_comes_later(message: str) -> tuple[str, str] | None:
    """Return the part and its argument where an argument is given of a part whose class isn't known."""
    found = _ABSTRACT.search(message)
    return None if found is None else (_key_before(message, found.start()), found.group(1))


def no_part(message: str) -> str | None:
    """Say what must stand where a class with arguments was expected."""
    other = _OTHER_BASE.search(message)
    if other is not None:
        name, base = other.groups()
        return f"{name or _given(message)}, given as {_key_before(message, other.start())!r}, is no {base}"
    found = _NO_PART.search(message)
    if found is None:
        return None
    given = found.group(2) or _given(message)
    key = _key_before(message, found.start())
    wrong = _wrong_key(given)
    if wrong is not None:
        return f"{key!r} has the key {wrong!r}, but a class is given by {' and '.join(_KEYS[:2])} alone"
    shown = given if len(given) <= _LONGEST else f"{given[:_LONGEST]}..."
    return f"{key!r} must be a {found.group(1)}, given by class_path: package.module.Class and init_args; got {shown}"


def _key_before(message: str, place: int) -> str:
    keys = _KEY.findall(message[:place])
    return keys[-1] if keys else "it"


def _given(message: str) -> str:
    found = _GIVEN.search(message)
    return found.group(1) if found else ""


def _wrong_key(given: str) -> str | None:
    try:
        content = ast.literal_eval(given)
    except (ValueError, SyntaxError, RecursionError):
        return None
    if not isinstance(content, dict) or not (set(content) & set(_KEYS)):
        return None
    return next((str(key) for key in content if key not in _KEYS), None)

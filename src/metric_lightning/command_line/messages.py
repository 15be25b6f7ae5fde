"""Turns the parser's long messages into the one sentence that says what to mend."""

import difflib
import importlib
import inspect
import re
from collections.abc import Iterable

from metric_lightning.command_line.part_messages import class_comes_later, no_part

_NO_NAME = re.compile(
    r"Problem with given class_path '([^']+)':\s*\n\s*(?:module '[^']+' has no attribute|No module named)"
)
_REFUSED = re.compile(r"Option '([^']+)' is not accepted")
_WRONG_TYPE = re.compile(r"Parser key \"([^\"]+)\":\s*\n\s*(Expected [^\n]*Got value: [^\n]*)")
_WRONG_UNION = re.compile(
    r"Parser key \"([^\"]+)\":\s*\n\s*Does not validate against any of the Union subtypes\s*\n\s*Subtypes: \[([^\n]*)\]"
    r"\s*\n\s*Errors:\n(?:\s*- Expected a [^\n]*\n)+\s*Given value type: [^\n]*\n\s*Given value: ([^\n]*)"
)
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (--[^\s=]+)")
_NO_OPTION = re.compile(r"does not accept option '([^']+)'")
_SHORT_NAME = re.compile(r"Expected a dot import path string: (\w+)")
_MISSING = re.compile(r"following arguments are required: (.*)")
_REQUIRED_KEY = re.compile(r"Option '([^']+)' is required")
_NO_SETTINGS = re.compile(r"Parser key \"([^\"]+)\":\s*\n\s*Unable to load config '([^\n]*)'\n")
_CHOICE = re.compile(r"invalid choice: '([^']+)' \(choose from (.*)\)")


def one_sentence(message: str, options: Iterable[str] = ()) -> str:
    """Return what a parser's error message comes down to, with the nearest valid name where one is near.

    Args:
        message: as jsonargparse words it, many lines maybe.
        options: names of the parser's options, "trainer.max_epochs".

    Example:
        >>> one_sentence("unrecognized arguments: --trainer.max_epoch 3", ["trainer.max_epochs"])
        'there is no option --trainer.max_epoch; did you mean --trainer.max_epochs?'
    """
    options = list(options)
    understood = (
        *(_unknown_class, _refused_option, _required, _unknown_option, _short_name),
        *(_no_command, _no_text, _class_comes_later, _no_part, _no_settings, _wrong_type),
    )
    for understand in understood:
        sentence = understand(message, options)
        if sentence:
            return sentence
    return _deepest_line(message)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name most like `name`, or None where none is near.

    Example:
        >>> nearest("marginn", ["margin", "miner"])
        'margin'
    """
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return found[0] if found else None


def _unknown_class(message: str, _: list[str]) -> str | None:
    found = _NO_NAME.findall(message)
    if not found:
        return None
    path = found[-1]
    module, _, name = path.rpartition(".")
    return f"there is no class {path}{_hint(_nearest_path(module, name))}"


def _nearest_path(module: str, name: str) -> str | None:
    while module:
        try:
            names = dir(importlib.import_module(module))
        except ImportError:
            module, _, name = module.rpartition(".")
            continue
        close = nearest(name, [item for item in names if not item.startswith("_")])
        return f"{module}.{close}" if close else None
    return None


def _refused_option(message: str, _: list[str]) -> str | None:
    refused = _REFUSED.search(message)
    if refused is None:
        return None
    owners = re.findall(r"Problem with given class_path '([^']+)'", message[: refused.start()])
    option = refused.group(1)
    if not owners:
        return f"there is no option {option}"
    return f"{owners[-1]} has no argument {option!r}{_hint(nearest(option.split('.')[0], _arguments(owners[-1])))}"


def _arguments(path: str) -> list[str]:
    module, _, name = path.rpartition(".")
    try:
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    except (ImportError, AttributeError, ValueError, TypeError):
        return []


def _wrong_type(message: str, _: list[str]) -> str | None:
    found = _WRONG_TYPE.search(message)
    if found is None:
        union = _WRONG_UNION.search(message)
        if union is None:
            return None
        types = " or ".join(name.rsplit(".", 1)[-1] for name in re.findall(r"'([^']+)'", union.group(2)))
        return f"argument {union.group(1)!r}: expected {types.replace('NoneType', 'null')}. Got value: {union.group(3)}"
    owners = re.findall(r"Problem with given class_path '([^']+)'", message[: found.start()])
    expected = re.sub(r"<class '([^']+)'>", r"\1", found.group(2)).rstrip(".")
    owner = f" of {owners[-1]}" if owners else ""
    return f"argument {found.group(1)!r}{owner}: {expected[0].lower()}{expected[1:]}"


def _required(message: str, options: list[str]) -> str | None:
    found = _REQUIRED_KEY.search(message)
    if found is not None:
        owners = re.findall(r"Problem with given class_path '([^']+)'", message[: found.start()])
        owner = f" of {owners[-1]}" if owners else ""
        return f"argument {found.group(1)!r}{owner} is missing"
    found = _MISSING.search(message)
    if found is None:
        return None
    missing = ", ".join(name.strip().rpartition(".")[2] for name in found.group(1).split(","))
    # Commands without --config name what they need one by one.
    whole = ": name a whole run with --config FILE.yaml, or a folder of pictures with --data.root FOLDER (fit)"
    remedy = whole if "config" in options else "; see --help"
    return f"{missing} not given{remedy}"


def _unknown_option(message: str, options: list[str]) -> str | None:
    choice = _CHOICE.search(message)
    if choice is not None:
        names = [name.strip(" '") for name in choice.group(2).split(",")]
        return f"there is no command {choice.group(1)!r}{_hint(nearest(choice.group(1), names))}: {', '.join(names)}"
    found = _UNRECOGNIZED.search(message)
    if found is not None:
        close = nearest(found.group(1)[2:], options)
        return f"there is no option {found.group(1)}{_hint(close and f'--{close}')}"
    found = _NO_OPTION.search(message)
    if found is None:
        return None
    path = found.group(1).split(".")
    top = {option.split(".")[0] for option in options} | {"model", "data", "trainer", "experiment", "seed_everything"}
    if path[0] not in top:
        return f"there is no key {path[0]!r}{_hint(nearest(path[0], top))}"
    key = ".".join(path[:2])
    return f"there is no key {key!r}{_hint(nearest(key, options))}"


def _short_name(message: str, _: list[str]) -> str | None:
    found = _SHORT_NAME.findall(message)
    if not found:
        return None
    name = found[-1]
    for package in ("losses", "miners", "networks", "data", "modules", "metrics", "callbacks", "distances"):
        close = nearest(name, dir(importlib.import_module(f"metric_lightning.{package}")))
        if close:
            return f"there is no class {name!r}; did you mean metric_lightning.{package}.{close}?"
    return f"there is no class {name!r}; give its import path, package.module.Class"


def _no_command(message: str, _: list[str]) -> str | None:
    return "no command is given; see --help" if 'expected "subcommand" to be one of' in message else None


def _no_text(message: str, _: list[str]) -> str | None:
    told = "a file that stands in the config in place of settings is no text in UTF-8; name a YAML file"
    return told if "codec can't decode byte" in message else None


def _class_comes_later(message: str, _: list[str]) -> str | None:
    found = class_comes_later(message)
    if found is None:
        return None
    part, argument = found
    if part == "data" and nearest(argument, ["root"]):  # a folder is enough to know the class
        return f"there is no option --data.{argument}; did you mean --data.root?"
    return (
        f"--{part}.{argument} is given, but not which class {part} is: name it in a --config, or by --{part} "
        "package.module.Class before its arguments"
    )


def _no_part(message: str, _: list[str]) -> str | None:
    return no_part(message)


def _no_settings(message: str, _: list[str]) -> str | None:
    found = _NO_SETTINGS.search(message)
    return found and f"{found.group(1)!r} must be settings by name, or the file that holds them; got {found.group(2)!r}"


def _hint(name: str | None) -> str:
    return f"; did you mean {name}?" if name else ""


def _deepest_line(message: str) -> str:
    lines = [line for line in message.splitlines() if line.strip()]
    telling = [
        line for line in lines if not re.match(r"\s*(- Expected a <class 'NoneType'>|Given value|Errors:)", line)
    ]
    deepest = max(telling or lines or [message], key=lambda line: len(line) - len(line.lstrip()))
    return deepest.strip().removeprefix("- ")

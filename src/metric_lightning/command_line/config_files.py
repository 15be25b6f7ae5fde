"""Reads a run's YAML files: what is wrong with one is said in a sentence, by its name and line."""

import codecs
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from metric_lightning.command_line.messages import nearest
from metric_lightning.errors import UserError

Config = dict[str, Any]


def read_config(given: str) -> Config:
    """Return what a `--config` says: settings by name.

    Args:
        given: a file, or the settings themselves as YAML.

    Raises:
        UserError: there is no such file, it is no text, no YAML, names a key twice, or holds no settings.
    """
    text = given if is_text(given) else _text_of(Path(given))
    name = "--config" if text is given else f"--config {given}"
    try:
        twice = next(_named_twice(yaml.compose(text, Loader=yaml.SafeLoader)), None)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{name} is no YAML: {_problem_of(error)}") from error
    except (ValueError, RecursionError) as error:  # a date of month 13, say
        raise UserError(f"{name} is no YAML ({error})") from error
    if twice is not None:
        raise UserError(f"{name} says {twice.value!r} a second time in line {twice.start_mark.line + 1}; leave one out")
    if not isinstance(content, dict) or not content:
        raise UserError(f"{name} holds no settings by name (data: ..., model: ...); see experiments/ for examples")
    return content


def is_text(given: str) -> bool:
    """Whether what stands behind `--config` is the settings themselves and no file's name.

    Example:
        >>> is_text("trainer: {max_epochs: 3}"), is_text("my.yaml")
        (True, False)
    """
    return "\n" in given or ": " in given or given.startswith("{")


def unknown_sections(said: Any, parsed: Any, place: str = "") -> Iterator[str]:
    """Yield the keys of empty sections (`trainr: {}`) that mean nothing, which a parser passes over.

    Args:
        said: what a file says.
        parsed: what the parser has made of it.
        place: of both in the whole.
    """
    if isinstance(said, list) and isinstance(parsed, list) and len(said) == len(parsed):
        for item, found in zip(said, parsed, strict=True):
            yield from unknown_sections(item, found, place)
    if not isinstance(said, Mapping) or not isinstance(parsed, Namespace | Mapping):
        return
    found = vars(parsed) if isinstance(parsed, Namespace) else parsed
    if said.get("class_path", found.get("class_path")) != found.get("class_path"):
        return  # another class was named in its place
    for key, value in said.items():
        if key in found:
            yield from unknown_sections(value, found[key], f"{place}{key}.")
        elif value == {} and key not in ("init_args", "dict_kwargs"):
            close = nearest(str(key), found)
            yield f"there is no key '{place}{key}'" + (f"; did you mean {place}{close}?" if close else "")


def _text_of(file: Path) -> str:
    if file.is_dir():
        raise UserError(f"--config {file} is a folder; name the YAML file in it")
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"there is no file {file}, which --config names{_beside(file)}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"--config {file} can't be read ({getattr(error, 'strerror', error)})") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"--config {file} is text in UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"--config {file} is no text in UTF-8 (line {line}); name a YAML file, or save this one as UTF-8"
        ) from error


def _beside(file: Path) -> str:
    others = [path.name for path in file.parent.glob("*.y*ml")]
    close = nearest(file.name, others)
    return f"; did you mean {file.parent / close}?" if close else ""


def _problem_of(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem}, line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())


def _named_twice(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Yield the keys that a mapping has named before: YAML would quietly let the last one count."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _named_twice(item)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                yield key
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
            yield from _named_twice(value)

"""Docstrings as Markdown, parsed by griffe: text, arguments, errors, the executed example."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import griffe

SOURCE = Path(__file__).parents[2] / "src"
_PACKAGE = "metric_lightning"
_NAME = re.compile(r"(?<!\[)`([A-Z]\w+)`")
_LISTS = {"parameters": "Arguments", "attributes": "Attributes", "raises": "Raises"}
# Lightning's and PyTorch's hooks: what they do is what the class does.
_HOOKS = re.compile(
    r"on_|setup$|forward$|(anchor_|block_|batch_)?terms$|observe$|sum_over_rows$|build$|state_dict$|load_state_dict$"
)


class Docstrings:
    """The docstrings of the package, as Markdown.

    Args:
        pages: page of each public name, from the documentation's root: names in backticks become links.
    """

    def __init__(self, pages: Mapping[str, str]):
        self.pages = pages
        self._root: Any = griffe.load(_PACKAGE, search_paths=[str(SOURCE)])

    def block(self, path: str, page: str, level: int = 2, base: bool = False) -> list[str]:
        """Return the lines that document a class or function, for the page `page`.

        Args:
            path: below the package: "losses.TripletMarginLoss".
            page: where the lines go, "losses/index.md", from which links lead.
            level: of the heading.
            base: also document the methods that a subclass fills in.
        """
        found = self._find(path)
        lines = [f"{'#' * level} {found.name}", ""]
        if found.is_function or found.is_class:
            lines += ["```python", signature(found), "```", ""]
        elif found.is_attribute:
            lines += ["```python", f"{found.name} = {found.value}", "```", ""]
        lines += self.text(found, page)
        named = found.parent.members.get(str(found.value)) if found.is_attribute else None
        if named is not None and named.is_class:  # another name of a class: what it is stands there
            lines += ["```python", signature(named), "```", "", *self.text(named, page)]
        if found.is_class:
            lines += self._methods(found, page, base)
        if found.is_module:
            for member in found.members.values():
                if not member.is_alias and not member.name.startswith("_") and member.docstring is not None:
                    lines += self.block(f"{path}.{member.name}", page, level + 1)
        return lines

    def text(self, found: Any, page: str) -> list[str]:
        """Return a docstring's lines."""
        lines: list[str] = []
        if found.docstring is None:
            return lines
        for section in found.docstring.parse("google", warnings=False):
            kind = section.kind.value
            if kind == "text":
                lines += [self._linked(section.value, page), ""]
            elif kind in _LISTS:
                lines += [f"**{_LISTS[kind]}**", ""]
                lines += [self._linked(_item(item, kind), page) for item in section.value]
                lines += [""]
            elif kind == "returns":
                lines += ["**Returns**", "", *(self._linked(item.description, page) for item in section.value), ""]
            elif kind == "admonition" and section.title == "Example":
                lines += ["**Example**", "", "```pycon", section.value.description, "```", ""]
            elif kind == "admonition":
                lines += [f"**{section.title}**", "", self._linked(section.value.description, page), ""]
            else:
                raise ValueError(f"{found.path}: a docstring section of kind {kind} has no form here; give it one")
        return lines

    def _methods(self, found: Any, page: str, base: bool) -> list[str]:
        lines: list[str] = []
        for member in found.members.values():
            hidden = member.is_alias or member.name.startswith("_") or member.docstring is None
            if hidden or (_HOOKS.match(member.name) and not base):
                continue
            head = f"`{member.name}{_arguments(member)}`" if member.is_function else f"`{member.name}`"
            body = "\n\n".join(line for line in self.text(member, page) if line)
            lines += [f"- {head}: " + body.replace("\n", "\n  "), ""]
        return lines

    def _find(self, path: str) -> Any:
        found = self._root[path]
        found = found.final_target if found.is_alias else found
        # A function and its file share a name; what is imported is the function.
        own = found.members.get(found.name) if found.is_module else None
        return found if own is None else own

    def _linked(self, text: str, page: str) -> str:
        up = "../" * page.count("/")

        def link(match: re.Match[str]) -> str:
            target = self.pages.get(match[1])
            return match[0] if target is None or target == page else f"[`{match[1]}`]({up}{target})"

        return _NAME.sub(link, text)


def signature(found: Any) -> str:
    """Return a class's constructor or a function, an argument a line where they are many."""
    function = found.members.get("__init__") if found.is_class else found
    if function is None or not hasattr(function, "parameters"):
        return f"class {found.name}"
    one_line = f"{found.name}{_arguments(function)}"
    if len(one_line) <= 100:
        return one_line
    return f"{found.name}(\n" + "".join(f"    {part},\n" for part in _parts(function)) + ")"


def _arguments(function: Any) -> str:
    return f"({', '.join(_parts(function))})"


def _parts(function: Any) -> Iterable[str]:
    parts = []
    for parameter in function.parameters:
        if parameter.name in ("self", "cls"):
            continue
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(parameter.kind.value, "")
        kind = "" if parameter.annotation is None else f": {parameter.annotation}"
        default = "" if parameter.default is None or stars else f" = {parameter.default}"
        parts.append(f"{stars}{parameter.name}{kind}{default}")
    return parts


def _item(item: Any, kind: str) -> str:
    name = item.annotation if kind == "raises" else item.name
    return f"- `{name}`: " + item.description.replace("\n", "\n  ")

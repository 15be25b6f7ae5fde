"""Writes the source of the documentation: the pages of this folder, and those made from the package.

    python -m site_pages.write FOLDER      (in docs/, or with it on the path)

Made are a page for each loss and miner, with pictures, and one for each package.
"""

import inspect
import pkgutil
import shutil
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from matplotlib.figure import Figure

from metric_lightning import losses, miners
from metric_lightning.losses import MetricLoss
from metric_lightning.plots import pixels, png
from site_pages.docstrings import Docstrings
from site_pages.packages import PACKAGES
from site_pages.parts import MARGIN, concrete, loss_around, make_loss, make_miner
from site_pages.picture import loss_figure, miner_figure
from site_pages.toy import CLASSES, Descent, collapsed_start, descend, random_start, toy_labels, train_network

DOCS = Path(__file__).parents[1]
_TOLD_APART = 0.05
_COLLAPSED = 0.05  # of the margin, as `CollapseDiagnosis`
_INTRODUCTIONS = {
    "losses": "A loss is a ratio of sums over anchors. How to choose one: [Choosing](../choosing.md).",
    "miners": "A miner picks the pairs or triplets that a loss sees. How to choose one: [Choosing](../choosing.md).",
}


def write_all(folder: Path) -> None:
    """Write everything into a folder that is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("site_pages", "trainers", "__pycache__"))
    shutil.copytree(DOCS.parent / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    docstrings = Docstrings(pages())
    for package in ("losses", "miners"):
        _write_index(folder, package, docstrings)
    for package in PACKAGES:
        _write_reference(folder, package, docstrings)
    _write_contents(folder)
    write_pictures(folder)


def pages() -> dict[str, str]:
    """Return the page of every public name."""
    found = {}
    for package in PACKAGES:
        found |= dict.fromkeys(public_names(import_module(f"metric_lightning.{package}")), f"reference/{package}.md")
    for package in ("losses", "miners"):
        module = import_module(f"metric_lightning.{package}")
        found |= dict.fromkeys(module.__all__, f"{package}/index.md")
        found |= {name: f"{package}/{name}.md" for name in concrete(module)}
    return found


def public_names(module: ModuleType) -> list[str]:
    """Return a package's public names; of one that lists none, its modules, or what a single module defines."""
    if hasattr(module, "__all__"):
        names: list[str] = module.__all__
        return names
    parts = [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]
    defined = [name for name, item in vars(module).items() if getattr(item, "__module__", "") == module.__name__]
    return parts or [name for name in defined if not name.startswith("_")]


def write_pictures(folder: Path) -> None:
    """Write the picture of each loss and miner, and the sentence below it."""
    for name in concrete(losses):
        fresh = [_new_loss(name) for _ in range(3)]
        found, escaped = _descents(*fresh[:2])
        _write_picture(folder / "losses", name, loss_figure(fresh[2], found, escaped), _said(found, escaped))
    for name in concrete(miners):
        around = [loss_around(make_miner(name)) for _ in range(3)]
        found, escaped = _descents(*around[:2])
        trained = train_network(loss_around(make_miner(name)))
        said = f"With `{type(around[0]).__name__}`. {_said(found, escaped)} {said_of_network(trained)}"
        shown = make_miner(name)
        loss_around(shown)  # lends its margin
        figure = miner_figure(shown, around[2], found, escaped, trained)
        _write_picture(folder / "miners", name, figure, said)


def _new_loss(name: str) -> MetricLoss:
    torch.manual_seed(0)
    loss = make_loss(name)
    loss.build(CLASSES, 2)
    return loss


def _descents(first: MetricLoss, second: MetricLoss) -> tuple[Descent, Descent]:
    labels = toy_labels()
    return descend(first, random_start(), labels), descend(second, collapsed_start(), labels)


def _said(found: Descent, escaped: Descent) -> str:
    def told(result: Descent) -> str:
        return f"{'told apart' if result.overlap < _TOLD_APART else 'not told apart'} (overlap {result.overlap:.2f})"

    stars = " Stars are the loss's class weights." if len(found.weights) else ""
    return (
        f"After 200 steps on the toy batch its classes are {told(found)}; after as many from a collapsed start, all "
        f"points within about 0.01, {told(escaped)}. Overlap is the probability that a pair of one class lies farther "
        f"apart than a pair of different classes; told apart is said of less than {_TOLD_APART}. Free points are no "
        f"network: they show the forces, not what a network makes of them.{stars}"
    )


def said_of_network(trained: Descent) -> str:
    """Return what became of a small network."""
    collapsed = trained.apart < _COLLAPSED * MARGIN
    result = (
        f"has collapsed: different classes lie {trained.apart:.1g} apart"
        if collapsed
        else f"has not collapsed: different classes lie {trained.apart:.2g} apart"
    )
    return (
        "Last, what a small network makes of noisy samples of six classes in 300 steps from a random start (of three "
        f"the one in the middle), always at the same settings: with this miner it {result}, against a margin of "
        f"{MARGIN} (overlap {trained.overlap:.2f})."
    )


def _write_picture(folder: Path, name: str, figure: Figure, said: str) -> None:
    (folder / f"{name}.png").write_bytes(png(pixels(figure)))
    page = folder / f"{name}.md"
    page.write_text(page.read_text().replace(_PLACE, f"![What {name} does to a toy batch]({name}.png)\n\n{said}"))


_PLACE = "<!-- picture -->"


def _write_index(folder: Path, package: str, docstrings: Docstrings) -> None:
    module = import_module(f"metric_lightning.{package}")
    shown = concrete(module)
    bases = [name for name in module.__all__ if name not in shown]
    page = f"{package}/index.md"
    lines = [f"# {package.capitalize()}", "", _INTRODUCTIONS[package], "", *_toctree(shown)]
    lines += ["```{list-table}", ":header-rows: 1", "", "* - name", "  - what"]
    for name in shown:
        lines += [f"* - [{name}]({name}.md)", f"  - {_summary(getattr(module, name))}"]
    lines += ["```", "", "## Bases of your own", ""]
    for name in bases:
        lines += docstrings.block(f"{package}.{name}", page, level=3, base=True)
    _write(folder / page, lines)
    for name in shown:
        part = getattr(module, name)
        paper = (getattr(inspect.getmodule(part), "__doc__", "") or "").strip()
        block = docstrings.block(f"{package}.{name}", f"{package}/{name}.md", level=1)
        end = block.index("```", 3) + 2  # after the signature
        _write(
            folder / package / f"{name}.md",
            [*block[:end], _PLACE, "", *block[end:], "**Source and symbols**", "", paper],
        )


def _write_reference(folder: Path, package: str, docstrings: Docstrings) -> None:
    module = import_module(f"metric_lightning.{package}")
    page = f"reference/{package}.md"
    lines = [f"# {PACKAGES[package]}", "", (module.__doc__ or "").strip(), "", f"`metric_lightning.{package}`", ""]
    for name in public_names(module):
        lines += docstrings.block(f"{package}.{name}", page, base=inspect.isabstract(getattr(module, name, None)))
    _write(folder / page, lines)


def _write_contents(folder: Path) -> None:
    text = "Every public name. [Losses](../losses/index.md) and [miners](../miners/index.md) have pages of their own."
    _write(folder / "reference" / "index.md", ["# Reference", "", text, "", *_toctree(PACKAGES, hidden=False)])


def _toctree(names: Iterable[str], hidden: bool = True) -> list[str]:
    return ["```{toctree}", ":hidden:" if hidden else ":maxdepth: 1", "", *names, "```", ""]


def _summary(part: type) -> str:
    return " ".join(inspect.cleandoc(part.__doc__ or "").split("\n\n")[0].split())


def _write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))

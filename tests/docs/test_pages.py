"""The documentation builds without a warning and has every public name."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import metric_lightning
from metric_lightning import callbacks, losses, miners
from site_pages.docstrings import Docstrings
from site_pages.packages import PACKAGES
from site_pages.parts import concrete, loss_around, make_loss, make_miner
from site_pages.picture import picks
from site_pages.toy import random_start, toy_labels, train_network
from site_pages.write import pages, said_of_network, write_all

PUBLIC = [*PACKAGES, "losses", "miners"]


MODULES = [
    module.name
    for module in pkgutil.walk_packages(metric_lightning.__path__, "metric_lightning.")
    if not any(part.startswith("_") for part in module.name.split("."))
]


def undocumented(module: ModuleType) -> list[str]:
    """Return what a module defines under a public name without a docstring of its own."""
    found = [] if module.__doc__ else [module.__name__]
    for name, part in vars(module).items():
        own = getattr(part, "__module__", None) == module.__name__ and not name.startswith("_")
        if own and inspect.isclass(part):
            # A class without one inherits its base's in Python's eyes, and a tuple gets its signature.
            text = vars(part).get("__doc__")
            if not text or text.startswith(f"{part.__name__}("):
                found.append(f"{module.__name__}.{name}")
        elif own and inspect.isfunction(inspect.unwrap(part)) and not part.__doc__:
            found.append(f"{module.__name__}.{name}")
    return found


def test_every_public_class_and_function_has_a_docstring_of_its_own():
    assert len(MODULES) > 150 and {"metric_lightning.functional.pairs", "metric_lightning.errors"} <= set(MODULES)
    assert [name for module in MODULES for name in undocumented(importlib.import_module(module))] == []


def test_what_has_no_docstring_is_found(tmp_path, monkeypatch):
    (tmp_path / "bare.py").write_text(
        "from typing import NamedTuple\nclass Base:\n    'Has one.'\nclass Derived(Base):\n    pass\n"
        "class Pair(NamedTuple):\n    left: int\ndef function():\n    pass\ndef _hidden():\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = undocumented(importlib.import_module("bare"))
    assert found == ["bare", "bare.Derived", "bare.Pair", "bare.function"]


def test_every_package_of_public_names_is_in_the_documentation():
    folder = Path(metric_lightning.__file__).parent
    lists = [path.parent for path in folder.glob("*/**/__init__.py") if "__all__" in path.read_text()]
    listing = {".".join(path.relative_to(folder).parts) for path in lists}
    for name in listing - set(PUBLIC):
        outer = importlib.import_module(f"metric_lightning.{name.rpartition('.')[0]}")
        assert set(importlib.import_module(f"metric_lightning.{name}").__all__) <= set(outer.__all__), name
    assert {"data", "callbacks", "report", "applications.tracking", "applications.cosegmentation"} <= listing
    assert {"functional", "types", "errors", "parts"} <= set(PUBLIC)


def test_every_callback_says_what_it_costs():
    silent = [name for name in callbacks.__all__ if "Cost" not in (getattr(callbacks, name).__doc__ or "")]
    assert silent == []


def test_each_loss_and_miner_has_a_page_of_its_own():

    found = pages()
    for package, module in (("losses", losses), ("miners", miners)):
        for name in concrete(module):
            assert all(f"\n    {title}:\n" in getattr(module, name).__doc__ for title in ("Helps", "Collapses"))
            assert found[name] == f"{package}/{name}.md"
            (make_loss if package == "losses" else make_miner)(name)


def test_another_name_of_a_loss_has_its_formula_and_when_it_helps():
    text = "\n".join(Docstrings({}).block("losses.NTXentLoss", "losses/NTXentLoss.md"))
    for part in ("NTXentLoss = InfoNCELoss", "-log [exp(s_ap / T)", "**Helps**", "**Collapses**", "`temperature`"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "collapses"),
    [("HardestNegative", True), ("BatchHard", True), ("RandomHardNegative", False), ("SemiHardNegative", False)],
)
def test_a_small_network_collapses_with_the_hardest_miners_alone(name, collapses):
    trained = train_network(loss_around(make_miner(name)))
    assert (trained.overlap > 0.3) == collapses
    assert ("has collapsed" in said_of_network(trained)) == collapses


@pytest.mark.slow
def test_documentation_builds_without_a_warning(tmp_path, monkeypatch):
    sphinx = pytest.importorskip("sphinx.cmd.build", reason="the extra `docs` is not installed")
    # Pictures are `make docs`'s: minutes. A few show that they can be made.
    monkeypatch.setattr("site_pages.write.concrete", lambda module: concrete(module)[:1])
    write_all(tmp_path / "made")
    assert (tmp_path / "made" / "losses" / "AngularLoss.png").stat().st_size > 10_000
    monkeypatch.undo()
    monkeypatch.setattr("site_pages.write.write_pictures", lambda folder: None)
    write_all(tmp_path / "source")
    assert sphinx.main(["-W", "-q", "-b", "html", str(tmp_path / "source"), str(tmp_path / "site")]) == 0
    for name, page in pages().items():
        html = (tmp_path / "site" / page).with_suffix(".html").read_text()
        assert name in html, f"{name} is not on {page}"


@pytest.mark.parametrize("name", concrete(miners))
def test_every_miner_can_be_shown_with_the_margin_of_a_loss(name):
    """As its picture does: the picks of a miner that a loss was given, drawn by itself."""
    miner = make_miner(name)
    loss_around(miner)
    positive, negative = picks(miner, random_start(), toy_labels())
    assert positive and negative

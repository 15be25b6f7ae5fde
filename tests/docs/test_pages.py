"""The documentation builds without a warning and has every public name."""

import importlib
import inspect
from pathlib import Path

import pytest

import metric_lightning
from metric_lightning import losses, miners
from site_pages.docstrings import Docstrings
from site_pages.packages import PACKAGES
from site_pages.parts import concrete, loss_around, make_loss, make_miner
from site_pages.toy import train_network
from site_pages.write import pages, said_of_network, write_all

PUBLIC = [*PACKAGES, "losses", "miners"]


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_has_a_docstring_of_its_own(package):
    module = importlib.import_module(f"metric_lightning.{package}")
    for name in getattr(module, "__all__", []):
        part = getattr(module, name)
        # A class without one inherits its base's in Python's eyes.
        own = vars(part).get("__doc__") if inspect.isclass(part) else inspect.getdoc(part)
        assert own, f"metric_lightning.{package}.{name} has no docstring"


def test_every_package_of_public_names_is_in_the_documentation():
    folder = Path(metric_lightning.__file__).parent
    listing = {path.parent.name for path in folder.glob("*/__init__.py") if "__all__" in path.read_text()}
    assert listing - set(PUBLIC) == set() and {"data", "callbacks", "report"} <= listing


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
    assert (trained.overlap > 0.4) == collapses
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

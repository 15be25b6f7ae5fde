"""Every block of code in the README and the documentation does what it says.

Python runs as written, the blocks of a page one after the other. A YAML that is a whole run trains a few batches, one
that is a part of a run is laid over a whole one and checked. Commands: see `commands`.
"""

import logging
import os
import shutil
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from PIL import Image
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from tests.data.digit_pictures import write_digits
from tests.docs.commands import ROOT, own_command, run_commands

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("applications/*.md")])
# What is shown and not to be run: output, and files that others include or another program reads.
_NOT_RUN = {
    "text",
    "{code-block} python",  # of another program, a database say
    "{include} measured/peers.md",
    "{toctree}",
    "{include} measured/mnist5k.md",
    "{include} measured/mnist5k_losses.md",
}
_WHOLE = ROOT / "experiments" / "mnist5k" / "softmax.yaml"


def check_yaml(example: Example) -> None:
    text = str(example.parsed)
    part = Path("block.yaml")
    part.write_text(text)
    config = yaml.safe_load(text)
    if all("class_path" in config.get(part, {}) for part in ("data", "model")):
        own_command(["fit", "--config", str(part)])
    else:
        own_command(["fit", "--config", str(_WHOLE), "--config", str(part), "--print_config"])


SYBIL = Sybil(
    parsers=[
        CodeBlockParser("python", PythonEvaluator()),
        CodeBlockParser("bash", run_commands),
        CodeBlockParser("yaml", check_yaml),
    ]
)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like a checkout of the repository, to run in."""
    for name in ("experiments", "docs", "benchmarks"):
        os.symlink(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    first, *_ = write_digits(tmp_path / "photos")
    for name in ("query.jpg", "a.jpg", "b.jpg"):
        Image.open(first).convert("RGB").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "shapes"))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_runs(page, checkout, monkeypatch, capsys):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    for example in SYBIL.parse(page).examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_escapes(page):
    """Each block says in which language it is, and is one that the tests run."""
    run = {"python", "bash", "yaml"}
    for block in MarkdownIt().parse(page.read_text()):
        where = f"{page.name}, line {block.map[0] + 1 if block.map else '?'}"
        assert block.type != "code_block", f"{where}: an indented block; fence it and say its language"
        if block.type == "fence" and not block.info.startswith("{literalinclude}"):
            assert block.info in run | _NOT_RUN, f"{where}: no test runs {block.info!r}"

"""The page of runs: what is on it, what is marked, and that nothing in it comes from elsewhere."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import TensorBoardLogger

from metric_lightning.callbacks import DistanceFigures, Galleries, RunSummary
from metric_lightning.cli import main
from metric_lightning.errors import UserError
from metric_lightning.report import read_run, report_page
from metric_lightning.report.tables import figure_rows, setting_rows
from tests.callbacks.small import Quarters, module, trainer


class Page(HTMLParser):
    """The text of a page, and all that it refers to."""

    def __init__(self, html: str):
        super().__init__()
        self.text = ""
        self.sources: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a run that kept everything."""
    folder = tmp_path_factory.mktemp("report") / "lightning_logs" / "small"
    runner = trainer(folder, [RunSummary(), DistanceFigures(), Galleries()], max_epochs=2)
    runner.fit(module(), datamodule=Quarters())
    return Path(runner.log_dir)


def plain_run(folder: Path, precision: float, margin: float) -> Path:
    """A run of files only, named by its folder, with one sentence of the diagnosis."""
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"test": {"precision_at_1": precision, "queries_left_out": 3.0}}))
    config = {"model": {"class_path": "m.A", "init_args": {"margin": margin}}, "trainer": {"logger": {"name": "x"}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    logger = TensorBoardLogger(folder.parent, name="", version=folder.name)
    logger.experiment.add_text("diagnosis/collapsed", f"Margin <{margin}> & all.", 3)
    logger.experiment.add_scalar("train/loss", precision, 3)
    logger.finalize("success")
    return folder


def test_a_run_is_on_one_page_of_its_own(finished):
    page = Page(report_page([read_run(finished)]))
    assert all(source.startswith("data:image/") for source in page.sources)
    figures = json.loads((finished / "metrics.json").read_text())["val"]
    for name, value in figures.items():
        if value is not None and not name.startswith("queries"):
            assert re.search(rf"{name}\s*{value:.4f}", page.text), name
    for title in ("Learning curves", "Distances of pairs, validation", "Worst cases: hardest triplets, validation"):
        assert title in page.text
    pictures = list((finished / "figures").glob("*.png"))
    assert len(page.sources) == len(pictures) + 1, "every picture, and the curves"


def test_several_runs_are_compared(tmp_path):
    worse = read_run(plain_run(tmp_path / "lightning_logs" / "a" / "version_0", 0.25, 0.5))
    better = read_run(plain_run(tmp_path / "lightning_logs" / "b" / "version_0", 0.75, 0.2))
    precision, left_out = figure_rows([worse, better], "test")
    assert (precision.cells, precision.marked) == (["0.2500", "0.7500"], [False, True])
    assert (left_out.cells, left_out.marked) == (["3", "3"], [False, False])
    differing, common = setting_rows([worse, better])
    assert [(row.name, row.cells) for row in differing] == [("model.margin", ["0.5", "0.2"])]
    assert [row.name for row in common] == ["model.class_path"]
    html = report_page([worse, better])
    assert "Margin &lt;0.5&gt; &amp; all." in html and "Margin &lt;0.2&gt; &amp; all." in html
    assert "a/version_0" in html and "b/version_0" in html


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("metrics.json", "{", "metrics.json can't be read"),
        ("metrics.json", "[1]", "metrics.json is not as a run writes it, by name; mend or remove it"),
        ("run.json", "3", "run.json is not as a run writes it"),
        ("config.yaml", "a: [", "config.yaml can't be read"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(tmp_path, name, content, words):
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words):
        read_run(tmp_path)


def test_the_command_takes_an_experiments_newest_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for version in ("version_2", "version_10"):
        plain_run(Path("lightning_logs") / "a" / version, 0.5, 0.5)
    main(["report", "lightning_logs/a"])
    path = Path("lightning_logs/a/version_10/report.html")
    assert str(path) in capsys.readouterr().out
    assert "0.5000" in path.read_text()


def test_a_folder_without_runs_gets_its_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path)])
    assert end.value.code == 2
    assert "has no run in it; give the folder of a run" in capsys.readouterr().err


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="runs="):
        report_page([])

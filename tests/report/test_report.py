"""The page of runs: what is on it, what is marked, and that nothing in it comes from elsewhere."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import TensorBoardLogger

from metric_lightning.callbacks import CollapseDiagnosis, DistanceFigures, Galleries, RunSummary
from metric_lightning.cli import main
from metric_lightning.errors import UserError
from metric_lightning.plots.canvas import new_figure
from metric_lightning.report import read_run, report_page
from metric_lightning.report.page import _panels_of_several
from metric_lightning.report.run_files import told_apart
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
    assert "Not examined: CollapseDiagnosis has measured nothing" in page.text
    assert "No condition was named" not in page.text


def test_several_runs_are_compared(tmp_path):
    worse = read_run(plain_run(tmp_path / "lightning_logs" / "a" / "version_0", 0.25, 0.5))
    better = read_run(plain_run(tmp_path / "lightning_logs" / "b" / "version_0", 0.75, 0.2))
    precision, left_out = figure_rows([worse, better], "test")
    assert (precision.cells, precision.marked) == (["0.2500", "0.7500"], [False, True])
    assert (left_out.cells, left_out.marked) == (["3", "3"], [False, False])
    differing, common = setting_rows([worse, better])
    assert [(row.name, row.cells) for row in differing] == [("model.margin", ["0.5", "0.2"])]
    assert [row.name for row in common] == ["model.class_path"]
    errors = [run._replace(figures={"test": {"equal_error_rate": rate}}) for run, rate in ((worse, 0.4), (better, 0.1))]
    assert figure_rows(errors, "test")[0].marked == [False, True]
    widths = [
        run._replace(figures={"test": {"recall_interval": 0.1 + run.figures["test"]["precision_at_1"]}})
        for run in (worse, better)
    ]
    assert figure_rows(widths, "test")[0].marked == [False, False]
    html = report_page([worse, better])
    assert "Margin &lt;0.5&gt; &amp; all." in html and "Margin &lt;0.2&gt; &amp; all." in html
    assert "a/version_0" in html and "b/version_0" in html


@pytest.fixture(scope="module")
def examined(tmp_path_factory) -> Path:
    """The folder of a run that CollapseDiagnosis has looked at, and found in order."""
    folder = tmp_path_factory.mktemp("examined") / "lightning_logs" / "small"
    runner = trainer(folder, [RunSummary(), CollapseDiagnosis(), DistanceFigures()], max_epochs=1)
    runner.fit(module(), datamodule=Quarters())
    return Path(runner.log_dir)


def test_a_run_found_in_order_says_so_and_one_without_its_events_does_not(examined, tmp_path):
    assert "No condition was named" in report_page([read_run(examined)])
    folder = tmp_path / "copy"
    shutil.copytree(examined, folder)
    events = list(folder.glob("events.out.tfevents.*"))
    events[0].write_bytes(events[0].read_bytes()[:-20])
    page = Page(report_page([read_run(folder)]))
    assert f"{events[0].name} has been cut off" in page.text and "No condition was named" not in page.text
    for path in events:
        path.unlink()
    page = Page(report_page([read_run(folder)]))
    assert "Not known: the run's folder has no TensorBoard events" in page.text
    assert "No condition was named" not in page.text


def test_curves_of_the_page_have_the_margin_of_the_loss(examined, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "metric_lightning.report.page.learning_curves",
        lambda panels, levels: drawn.append((panels, levels)) or new_figure(1, 1),
    )
    run = read_run(examined)
    report_page([run])
    report_page([run, run._replace(record={"loss_in_one_point": 0.5})])
    report_page([run._replace(record={})])
    assert [[level.value for level in levels.values()] for _, levels in drawn] == [[1.0], [], []]
    assert set(drawn[0][1]) <= set(drawn[0][0])


def test_a_damaged_picture_is_marked(examined, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(examined, folder)
    figure = folder / "figures" / "distances_val.png"
    whole = len(Page(report_page([read_run(folder)])).sources)
    for content in (figure.read_bytes()[:100], figure.read_bytes()[:-2000], b"no picture"):
        figure.write_bytes(content)
        page = Page(report_page([read_run(folder)]))
        assert "distances_val.png can't be shown, it is damaged" in page.text and len(page.sources) == whole - 1


def test_runs_of_one_name_on_two_machines_are_told_apart(tmp_path):
    runs = [
        read_run(plain_run(tmp_path / machine / "lightning_logs" / "a" / "version_0", rate, 0.5))
        for machine, rate in (("one", 0.25), ("two", 0.75))
    ]
    assert runs[0].name == runs[1].name
    named = told_apart([*runs, runs[0]])
    assert len({run.name for run in named}) == 3
    assert "one" in named[0].name and "two" in named[1].name
    (curves,) = _panels_of_several(told_apart(runs)).values()
    assert [values for _, values in curves.values()] == [[0.25], [0.75]]


def test_many_runs_stand_three_in_a_row(tmp_path):
    run = read_run(plain_run(tmp_path / "lightning_logs" / "a" / "version_0", 0.25, 0.5))
    assert "repeat(3, minmax" in report_page([run] * 6) and "repeat(2, minmax" in report_page([run] * 2)


@pytest.mark.parametrize("output", ["x.md", "page", "x.pdf"])
def test_another_ending_than_html_is_refused(tmp_path, capsys, output):
    run = plain_run(tmp_path / "lightning_logs" / "a" / "version_0", 0.25, 0.5)
    with pytest.raises(SystemExit) as end:
        main(["report", str(run), "--output", str(tmp_path / output)])
    assert end.value.code == 2 and not (tmp_path / output).exists()
    assert "a report is an HTML page; give a name that ends in .html" in capsys.readouterr().err


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

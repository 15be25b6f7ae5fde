"""Tables say what came out, and choose by validation alone."""

from pathlib import Path
from typing import Any

import pytest

from experiments.harness.outcome import Outcome, outcome
from experiments.harness.run import Run
from experiments.harness.statistics import interval
from experiments.harness.table import main_table, markdown, report
from metric_lightning.errors import UserError


def result(accuracy: float, validation: float | None = 0.5, **others: Any) -> dict[str, Any]:
    figures = {"knn_accuracy": accuracy, "map_at_r": accuracy / 2}
    costs = {"seconds": 60.0, "images": 70_000, "classes": 10, "diagnosis": {}}
    measured = {} if validation is None else {"map_at_r": validation}
    return {"test": figures, "validation": measured, **costs, **others}


def made(method: str, *accuracies: float, **others: Any) -> Outcome:
    results = {seed: result(accuracy, **others) for seed, accuracy in enumerate(accuracies)}
    return Outcome(method, (), results, {}, {}, None)


def row(table: str, method: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {method} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_row_has_mean_interval_and_costs() -> None:
    found = row(main_table([made("a", 0.93, 0.94, 0.95)], ["knn_accuracy", "map_at_r", "unknown"]), "a")
    assert found == ["a", "0.9400 ± 0.0248", "0.4700 ± 0.0124", "", "60 ± 0", "70,000", ""]


def test_markdown_lines_up() -> None:
    lines = markdown(["method", "x"], [["a", "0.9 ± 0.1"], ["much longer", "1"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].strip("|").split("|")[1].strip().endswith(":")


def test_collapse_and_chance_are_remarked_with_their_seeds() -> None:
    outcomes = [made("good", 0.9, 0.91), made("bad", 0.1, 0.15, diagnosis={"collapsed": "The embedding ..."})]
    table = main_table(outcomes, ["knn_accuracy"])
    assert row(table, "good")[-1] == ""
    assert row(table, "bad")[-1] == "collapsed (seed 0, 1); near chance (seed 0, 1)"


def test_differences_are_to_the_best_by_validation_not_by_test() -> None:
    lucky = made("lucky", 0.97, 0.975, 0.98, validation=0.3)
    best = made("best", 0.9, 0.905, 0.91, validation=0.6)
    page = report([lucky, best], ["knn_accuracy"], "T", "command", None)
    assert "Paired differences to **best**" in page
    assert "| +0.0700 ± 0.0000 * |" in page
    assert "Paired differences to **lucky**," in report([lucky, best], ["knn_accuracy"], "T", "command", "lucky")


def test_without_validation_data_the_page_says_so() -> None:
    outcomes = [made("a", 0.9, 0.91, validation=None), made("b", 0.8, 0.81, validation=None)]
    page = report(outcomes, ["knn_accuracy"], "T", "command", None)
    assert "the last checkpoint, there being no validation data" in page
    assert "Paired differences to **a**, the best by test MAP@R" in page
    mixed = report([outcomes[0], made("c", 0.7)], ["knn_accuracy"], "T", "command", None)
    assert "says otherwise), the last where there are no validation data" in mixed


def test_nothing_is_chosen_without_validation_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("trainer: {}\n")
    runs = [Run("a", tmp_path / "a.yaml", (("margin", value),), 0) for value in ("1", "2")]
    monkeypatch.setattr(Run, "result", lambda self: result(0.9, None) if self == runs[0] else None)
    with pytest.raises(UserError, match="a keeps no validation data"):
        outcome("a", runs, {})


def test_one_seed_has_no_interval_and_no_star() -> None:
    page = report([made("a", 0.9), made("b", 0.8)], ["knn_accuracy"], "T", "command", "a")
    assert "±" not in page.replace("mean ± 95%", "") and "0 *" not in page
    assert "over 1 seed," in page


def test_nothing_finished_is_still_a_page() -> None:
    empty = Outcome("a", (), {}, {0: "out of memory (see run.log)"}, {}, None)
    page = report([empty], ["knn_accuracy"], "T", "command", None)
    assert "- a, seed 0: out of memory" in page
    assert row(page, "a")[-1] == "seed 0 failed"


def test_variant_is_chosen_by_validation_and_only_where_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("trainer: {}\n")
    variants = [(("loss.margin", value), ("loss.class_path", f"a.B{value}")) for value in ("1", "2", "3")]
    runs = [Run("a", tmp_path / "a.yaml", settings, seed) for settings in variants for seed in (0, 1)]
    found_results = [result(0.99, 0.2), result(0.99, 0.2), result(0.8, 0.4), result(0.8, 0.5), result(1, 0.9), None]
    results = dict(zip(runs, found_results, strict=True))
    monkeypatch.setattr(Run, "result", lambda self: results[self])
    found = outcome("a", runs, {runs[-1]: "stopped"})
    assert found.settings == variants[1]
    assert found.tried == {
        variants[0]: interval([0.2, 0.2]),
        variants[1]: interval([0.4, 0.5]),
        variants[2]: interval([0.9]),
    }
    assert found.test("knn_accuracy") == {0: 0.8, 1: 0.8}
    page = report([found], ["knn_accuracy"], "T", "command", None)
    assert "margin=2, loss=B2 | 0.4500 ± 0.6353 | chosen" in page
    assert "0.99" not in page  # test figures of what was not chosen stay unseen

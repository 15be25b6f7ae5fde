"""Outcomes as markdown."""

import math
import os
import platform
from collections.abc import Sequence

import torch

from experiments.harness.outcome import CHOSEN_BY, Outcome
from experiments.harness.statistics import Interval, interval, paired_difference
from metric_lightning import __version__

_NAMES = {"knn_accuracy": "k-NN accuracy", "map_at_r": "MAP@R", "r_precision": "R-precision"}


def report(outcomes: Sequence[Outcome], figures: Sequence[str], title: str, command: str, against: str | None) -> str:
    """Return the whole page.

    Args:
        outcomes: one a method.
        figures: names of test figures, a column each.
        title: of the page.
        command: that made it.
        against: method that the others are compared with; None: the best by validation MAP@R, by test without.
    """
    seeds = max((len(found.results) for found in outcomes), default=0)
    parts = [
        f"# {title}\n\n    {command}\n",
        f"Test figures, mean ± 95% interval (Student's t) over {seeds} seed{'s' * (seeds != 1)}, on one split of the "
        f"data; of each run {_which_checkpoint(outcomes)}. The gallery of k-NN is the training part. Seconds are "
        "those of training, validation included; images are what went through the network.\n",
        main_table(outcomes, figures),
        *(_differences(outcomes, figures, against) if seeds else ()),
        *_tried(outcomes),
        *_failures(outcomes),
        _machine(),
    ]
    return "\n".join(parts)


def main_table(outcomes: Sequence[Outcome], figures: Sequence[str]) -> str:
    """Return a row for each method: figures, costs, remarks."""
    rows = []
    for found in outcomes:
        values = [cell(interval(list(found.test(figure).values()))) for figure in figures]
        costs = [cell(found.cost("seconds"), digits=0), cell(found.cost("images"), digits=0, width=False)]
        rows.append([found.method, *values, *costs, "; ".join(found.remarks())])
    return markdown(["method", *map(figure_name, figures), "seconds", "images", "remarks"], rows)


def cell(found: Interval, digits: int = 4, width: bool = True, sign: bool = False) -> str:
    """Return "mean ± half width"; "" of no value.

    Example:
        >>> cell(Interval(0.94, 0.0248, 3)), cell(Interval(61.2, float("nan"), 1), digits=0)
        ('0.9400 ± 0.0248', '61')
    """
    if math.isnan(found.mean):
        return ""
    mean = f"{found.mean:{'+' if sign else ''},.{digits}f}"
    return mean if not width or math.isnan(found.half_width) else f"{mean} ± {found.half_width:,.{digits}f}"


def markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns line up also as plain text."""
    widths = [max(len(row[column]) for row in [names, *rows]) for column in range(len(names))]

    def line(cells: Sequence[str]) -> str:
        padded = [text.rjust(width) for text, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join([cells[0].ljust(widths[0]), *padded[1:]])} |"

    rule = [f"{'-' * max(1, width - 1)}{'-' if k == 0 else ':'}" for k, width in enumerate(widths)]
    return "\n".join([line(names), line(rule), *map(line, rows)]) + "\n"


def _differences(outcomes: Sequence[Outcome], figures: Sequence[str], against: str | None) -> list[str]:
    finished = [found for found in outcomes if found.results]
    if len(finished) < 2:
        return []
    part = "test" if any(math.isnan(found.validation) for found in finished) else "validation"
    best = max(finished, key=lambda found: _score(found, part))
    reference = next((found for found in finished if found.method == against), best)
    rows = []
    for found in finished:
        if found is not reference:
            pairs = [paired_difference(found.test(figure), reference.test(figure)) for figure in figures]
            rows.append([found.method, *(cell(pair, sign=True) + " *" * pair.excludes_zero for pair in pairs)])
    why = "" if against == reference.method else f", the best by {part} MAP@R"
    return [
        f"Paired differences to **{reference.method}**{why}, seed by seed, with 95% intervals. "
        "\\*: the interval excludes 0 (of twenty such one would by chance).\n",
        markdown(["method", *map(figure_name, figures)], rows),
    ]


def _score(found: Outcome, part: str) -> float:
    score = found.validation if part == "validation" else interval(list(found.test(CHOSEN_BY).values())).mean
    return -math.inf if math.isnan(score) else score


def _which_checkpoint(outcomes: Sequence[Outcome]) -> str:
    with_validation = {not math.isnan(found.validation) for found in outcomes if found.results}
    if with_validation == {False}:
        return "the last checkpoint, there being no validation data"
    best = "the checkpoint that is best on validation data (by MAP@R unless its config says otherwise)"
    return best if with_validation != {True, False} else f"{best}, the last where there are no validation data"


def _tried(outcomes: Sequence[Outcome]) -> list[str]:
    rows = []
    for found in outcomes:
        for settings, score in found.tried.items():
            chosen = "chosen" if settings == found.settings else ""
            rows.append([found.method, ", ".join(_setting(*setting) for setting in settings), cell(score), chosen])
    if not rows:
        return []
    return ["Settings tried, chosen by validation MAP@R alone.\n", markdown(["method", "settings", "MAP@R", ""], rows)]


def _setting(key: str, value: str) -> str:
    """The last name of a path: "margin=0.2", "distance=EuclideanDistance"."""
    if key.endswith(".class_path"):
        key, value = key.removesuffix(".class_path"), value.rpartition(".")[2]
    return f"{key.rpartition('.')[2]}={value}"


def _failures(outcomes: Sequence[Outcome]) -> list[str]:
    lines = [f"- {found.method}, seed {seed}: {why}" for found in outcomes for seed, why in found.failures.items()]
    return ["Failed; the same command tries again.\n", "\n".join(lines) + "\n"] if lines else []


def _machine() -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    threads = os.environ.get("OMP_NUM_THREADS")
    threads = f", {threads} thread{'s' * (threads != '1')} a run" if threads else ""
    return (
        f"Made on: {device} ({platform.machine()}){threads}; torch {torch.__version__}, "
        f"metric_lightning {__version__}, Python {platform.python_version()}.\n"
    )


def figure_name(figure: str) -> str:
    """Return what a reader calls a figure."""
    return _NAMES.get(figure, figure.replace("_", " "))

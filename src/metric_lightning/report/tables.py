"""Tables that lay runs side by side."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from metric_lightning.report.run_files import RunFiles

_SETTINGS = ("seed_everything", "data", "model", "trainer")
_NO_RANK = ("_interval", "_standard_error", "threshold")


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        name: of the row.
        cells: one for each run; "" where it has none.
        marked: which cells stand out: the best of a figure, all of a setting that differs.
    """

    name: str
    cells: list[str]
    marked: list[bool]


def figure_rows(runs: Sequence[RunFiles], part: str) -> list[Row]:
    """Return the figures of a part ("test", "val"), the best of each marked where runs are compared.

    More is better, but of losses and error rates, of which the least is the best; of counts (`queries_...`),
    thresholds and widths of intervals none is marked.
    """
    found = [run.figures.get(part, {}) for run in runs]
    rows = []
    for name in dict.fromkeys(name for figures in found for name in figures):
        values = [figures.get(name) for figures in found]
        known = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
        compared = len(runs) > 1 and len(known) > 1 and not name.startswith("queries_") and not name.endswith(_NO_RANK)
        best = (min if _less_is_better(name) else max)(known) if compared else math.nan
        cells = [_number(int(value) if name.startswith("queries_") and value in known else value) for value in values]
        rows.append(Row(name, cells, [value == best for value in values]))
    return rows


def _less_is_better(name: str) -> bool:
    return name.endswith("error_rate") or name.startswith(("loss", "eer"))


def cost_rows(runs: Sequence[RunFiles]) -> list[Row]:
    """Return what the runs took: epochs, steps, seconds, parameters, device."""
    rows = []
    for name in ("epochs", "steps", "seconds"):
        rows.append(Row(name, [_number(run.figures.get("fit", {}).get(name)) for run in runs], [False] * len(runs)))
    rows.append(Row("parameters", [_number(run.record.get("parameters")) for run in runs], [False] * len(runs)))
    devices = [str(run.record.get("machine", {}).get("device", "")) for run in runs]
    commits = [str((run.record.get("git") or {}).get("commit", ""))[:10] for run in runs]
    rows += [Row("device", devices, [False] * len(runs)), Row("commit", commits, [False] * len(runs))]
    return [row for row in rows if any(row.cells)]


def setting_rows(runs: Sequence[RunFiles]) -> tuple[list[Row], list[Row]]:
    """Return the settings of seed, data, model and trainer: those that differ between runs, and those that don't."""
    flat = [flattened({name: run.config[name] for name in _SETTINGS if name in run.config}) for run in runs]
    rows = []
    for key in dict.fromkeys(key for settings in flat for key in settings):
        if key.startswith("trainer.logger."):
            continue  # where the run lies is its name
        cells = [_short(settings[key]) if key in settings else "" for settings in flat]
        differs = len(set(cells)) > 1
        rows.append(Row(key.replace(".init_args", ""), cells, [differs] * len(runs)))
    return [row for row in rows if row.marked[0]], [row for row in rows if not row.marked[0] and any(row.cells)]


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted name; what is None is left out, being left to its default.

    Example:
        >>> flattened({"data": {"seed": 1, "split": None}, "model": {"class_path": "m.A"}})
        {'data.seed': 1, 'model.class_path': 'm.A'}
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flattened(value, f"{name}.")
        elif value is not None:
            found[name] = value
    return found


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) <= 1 else f"{value:,.1f}"
    return "" if value is None else f"{value:,}"


def _short(value: Any) -> str:
    """Of an import path the last name says enough."""
    text = str(value)
    return text.rpartition(".")[2] if text.startswith(("metric_lightning.", "torch.", "lightning.")) else text

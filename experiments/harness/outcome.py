"""What came of the runs of one method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.run import Run, Settings
from experiments.harness.statistics import Interval, interval
from metric_lightning.errors import UserError

CHOSEN_BY = "map_at_r"
_CHANCE = 2.0  # fewer than this times the share of a blind guess: nothing was learned


@dataclass(frozen=True)
class Outcome:
    """The runs of one method, one a seed.

    Attributes:
        method: its name.
        settings: those chosen on validation data.
        results: of the finished runs, by seed.
        failures: what went wrong, by seed.
        tried: validation MAP@R of each variant, where there was a choice.
        points: file of the first seed's embeddings; None where they have not two dimensions.
    """

    method: str
    settings: Settings
    results: Mapping[int, dict[str, Any]]
    failures: Mapping[int, str]
    tried: Mapping[Settings, Interval]
    points: Path | None

    def test(self, figure: str) -> dict[int, float]:
        """Return a test figure by seed; runs without it are left out."""
        found = {seed: result["test"].get(figure) for seed, result in self.results.items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def cost(self, name: str) -> Interval:
        """Return the interval of "seconds" or "images"."""
        return interval([result[name] for result in self.results.values()])

    @property
    def validation(self) -> float:
        """Return the mean validation MAP@R; nan where no run is finished."""
        return validation(self.results.values()).mean

    def remarks(self) -> list[str]:
        """Return what a reader must know beside the figures."""
        found = [f"seed {seed} failed" for seed in self.failures]
        named: dict[str, list[int]] = {}
        for seed, result in self.results.items():
            for name in result["diagnosis"]:
                named.setdefault(name.replace("_", " "), []).append(seed)
            accuracy = result["test"].get("knn_accuracy")
            if accuracy is not None and accuracy < _CHANCE / result["classes"]:
                named.setdefault("near chance", []).append(seed)
        return found + [f"{name} (seed {', '.join(map(str, seeds))})" for name, seeds in named.items()]


def outcome(method: str, runs: Sequence[Run], failed: Mapping[Run, str]) -> Outcome:
    """Return the outcome of a method; of several variants the one with the best mean validation MAP@R.

    Test figures play no part in the choice. A variant with a failed seed is chosen only where all have one.

    Args:
        method: its name.
        runs: all variants, all seeds.
        failed: what went wrong.

    Raises:
        UserError: there are several variants, and no validation data to choose by.
    """
    by_variant: dict[Settings, dict[int, dict[str, Any]]] = {run.settings: {} for run in runs}
    for run in runs:
        result = run.result()
        if result is not None:
            by_variant[run.settings][run.seed] = result
    tried = {settings: validation(results.values()) for settings, results in by_variant.items()}
    if len(tried) > 1 and any(by_variant.values()) and not any(score.number for score in tried.values()):
        raise UserError(f"--grid: {method} keeps no validation data to choose by; give its split a validation part")
    best = max(tried, key=lambda settings: (tried[settings].number, tried[settings].mean))
    failures = {run.seed: failed[run] for run in runs if run.settings == best and run in failed}
    files = (run.folder / "points.npz" for run in runs if run.settings == best)
    points = next((file for file in files if file.exists()), None)
    return Outcome(method, best, by_variant[best], failures, tried if len(tried) > 1 else {}, points)


def validation(results: Any) -> Interval:
    """Return the interval of validation MAP@R over results."""
    values = [result["validation"].get(CHOSEN_BY) for result in results]
    return interval([value for value in values if value is not None])

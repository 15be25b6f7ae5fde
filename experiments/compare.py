"""Compares methods: several seeds of several YAML files, one table, one picture.

    python -m experiments.compare mnist5k --seeds 3
    python -m experiments.compare mnist5k/losses --seeds 3 --jobs 2 --threads 1
    python -m experiments.compare a.yaml b.yaml --name mine --grid model.init_args.loss.init_args.margin=0.1,0.2,0.5

Writes lightning_logs/compare/<name>/: table.md, figures.png (every seed, means, intervals) and, of two-dimensional
embeddings, grid.png (training and test set of each method). A run is known by its file, settings and seed: what is
finished is not made again, what was stopped goes on from its last checkpoint, so the same command resumes.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.harness.execute import execute
from experiments.harness.methods import config_files, labels_of, parsed_grid, variants
from experiments.harness.options import parsed_options, shared_settings
from experiments.harness.outcome import Outcome, outcome
from experiments.harness.pictures import dots_and_intervals, png_file, scatter_grid
from experiments.harness.run import Run
from experiments.harness.table import main_table, report
from metric_lightning.command_line.run_folder import LOGS
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically


def compare(arguments: Sequence[str]) -> str:
    """Make the runs, write table and pictures, return the main table.

    Raises:
        UserError: an argument is wrong.
    """
    options = parsed_options(arguments, (__doc__ or "").split("\n")[0])
    labels = labels_of(config_files(options.configs))
    files = {label: file for file, label in labels.items() if label not in options.skip}
    if not files:
        raise UserError(f"--skip {' '.join(options.skip)}: nothing is left to compare")
    if options.against not in {None, *files}:
        raise UserError(f"--against {options.against}: the methods are {', '.join(files)}")
    grid, shared = parsed_grid(options.grid, list(files.values())), shared_settings(options)
    runs = [
        Run(label, file, shared + variant, seed)
        for seed in range(options.seeds)  # all methods before the next seed: an early table shows all
        for label, file in files.items()
        for variant in variants(file, grid)
    ]
    folder = LOGS / "compare" / options.name
    title, command = f"Comparison: {options.name}", f"python -m experiments.compare {' '.join(arguments)}"
    failed: dict[Run, str] = {}

    def write() -> list[Outcome]:
        outcomes = [outcome(label, [run for run in runs if run.method == label], failed) for label in files]
        write_atomically(folder / "table.md", report(outcomes, options.figures, title, command, options.against))
        return outcomes

    def finished(run: Run) -> None:
        print(
            f"{_number_finished(runs)} of {len(runs)} finished: {run.method}, seed {run.seed}{_summary(run)}",
            flush=True,
        )
        write()

    print(f"{_number_finished(runs)} of {len(runs)} runs are finished.", flush=True)
    failed |= execute(runs, options.jobs, options.threads, finished)
    outcomes = write()
    _draw([found for found in outcomes if found.results], options.figures, folder)
    print(f"written to {folder}")
    return main_table(outcomes, options.figures)


def _number_finished(runs: Sequence[Run]) -> int:
    return sum(run.result() is not None for run in runs)


def _summary(run: Run) -> str:
    result = run.result()
    if result is None:
        return " failed"
    figures = ", ".join(f"{name} {value:.4f}" for name, value in result["test"].items() if value is not None)
    return f": {figures}, {result['seconds']:.0f} s"


def _draw(outcomes: Sequence[Outcome], figures: Sequence[str], folder: Path) -> None:
    if not outcomes:
        return
    write_atomically(folder / "figures.png", png_file(dots_and_intervals(outcomes, figures, folder.name)))
    points = {found.method: found.points for found in outcomes if found.points is not None}
    if points:
        title = f"{folder.name}: embeddings of training and test set by class"
        write_atomically(folder / "grid.png", png_file(scatter_grid(points, title)))


def main() -> None:
    """Run the command; what the user can mend is said in one sentence, with exit status 2."""
    try:
        print(compare(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""`metric-lightning report RUN...`: one HTML page of some runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from metric_lightning.callbacks.files import write_atomically
from metric_lightning.printable import printable
from metric_lightning.report.page import report_page
from metric_lightning.report.run_files import read_run


def main(arguments: Sequence[str]) -> None:
    """Write the page and say where it is.

    Raises:
        UserError: there is no run in a folder, or the page can't be written.
    """
    parser = argparse.ArgumentParser(
        "metric-lightning report",
        description="Write one self-contained HTML page of runs, side by side where there are several.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, or of an experiment")
    parser.add_argument("--output", type=Path, help="file to write; default: report.html in the (first) run's folder")
    options = parser.parse_args(arguments)
    runs = [read_run(folder) for folder in options.runs]
    path = options.output or runs[0].folder / "report.html"
    write_atomically(path, report_page(runs))
    print(f"report of {len(runs)} run{'s' * (len(runs) != 1)}: {printable(path)}")

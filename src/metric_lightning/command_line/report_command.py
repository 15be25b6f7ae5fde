"""`metric-lightning report RUN...`: one HTML page of some runs."""

from pathlib import Path
from typing import Any

from metric_lightning.command_line.commands import parsed
from metric_lightning.errors import UserError
from metric_lightning.files import require_writable, write_atomically
from metric_lightning.printable import printable
from metric_lightning.report.page import report_page
from metric_lightning.report.run_files import read_run

_ENDINGS = (".html", ".htm")


def main(arguments: list[str]) -> None:
    """Run the command."""
    run(parsed("report", arguments, add_arguments))


def add_arguments(parser: Any) -> None:
    """Add the command's arguments."""
    parser.add_argument("runs", nargs="+", type=str, metavar="RUN", help="folder of a run, or of an experiment")
    parser.add_argument(
        "--output",
        type=str | None,
        default=None,
        help="file to write, .html; default: report.html in the (first) run's folder",
    )


def run(settings: Any) -> None:
    """Write the page and say where it is.

    Raises:
        UserError: the file to write is no HTML by its name, there is no run in a folder, its files can't be read, or
            the page can't be written.
    """
    if settings.output and Path(settings.output).suffix.lower() not in _ENDINGS:
        raise UserError(f"--output {settings.output}: a report is an HTML page; give a name that ends in .html")
    runs = [read_run(Path(folder)) for folder in settings.runs]
    path = Path(settings.output) if settings.output else runs[0].folder / "report.html"
    require_writable(path)
    write_atomically(path, report_page(runs))
    print(f"report of {len(runs)} run{'s' * (len(runs) != 1)}: {printable(path)}")

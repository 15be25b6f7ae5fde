"""Runs as one page that can be sent to somebody: settings, figures, curves, pictures, worst cases, side by side."""

from metric_lightning.report.page import report_page
from metric_lightning.report.run_files import RunFiles, read_run

__all__ = ["RunFiles", "read_run", "report_page"]

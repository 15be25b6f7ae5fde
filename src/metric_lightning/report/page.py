"""One self-contained HTML page of some runs."""

import base64
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import yaml
from PIL import Image

from metric_lightning import __version__
from metric_lightning.callbacks.learning_curve_figure import LOSS_PANEL, levels_of, panels_of
from metric_lightning.callbacks.run_record import LOSS_IN_ONE_POINT
from metric_lightning.plots import learning_curves, pixels, png
from metric_lightning.plots.learning_curves import Curve
from metric_lightning.report.run_files import RunFiles, told_apart
from metric_lightning.report.tables import cost_rows, figure_rows, setting_rows

_COMPARED = {
    "train/loss": LOSS_PANEL,
    "val/map_at_r": "validation MAP@R",
    "val/precision_at_1": "validation precision@1",
    "train/active_pairs": "active pairs (share)",
}
# What a picture shows, by how its file's name begins; in the order of the page. Curves are drawn anew.
_PICTURES = {
    "embedding": "Embedding by class",
    "tsne": "t-SNE by class",
    "umap": "UMAP by class",
    "distances": "Distances of pairs",
    "classes": "Distances of classes",
    "hardest": "Worst cases: hardest triplets",
    "retrieval": "Worst cases: queries",
    "mislabelled": "Mislabelled candidates",
}
_PARTS = {"train": ", training", "val": ", validation", "test": ", test"}


class Shown(NamedTuple):
    """A picture on the page, or why there is none.

    Attributes:
        url: its content as a data URL; None where it can't be shown.
        said: instead of it.
    """

    url: str | None
    said: str = ""


class Gallery(NamedTuple):
    """A picture of the same name, of each run.

    Attributes:
        title: what it shows.
        images: one for each run.
    """

    title: str
    images: list[Shown]


def report_page(runs: Sequence[RunFiles]) -> str:
    """Return the HTML: nothing in it is fetched from elsewhere.

    In this order: what was diagnosed, figures (the best marked), learning curves, settings (those that differ first),
    pictures and worst cases side by side, and the whole configuration of each run.

    Args:
        runs: at least one.

    Raises:
        ValueError: no run.
    """
    if not runs:
        raise ValueError("runs=[] is empty; give at least one")
    runs = told_apart(runs)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    differing, common = setting_rows(runs)
    return environment.get_template("page.html.jinja").render(
        version=__version__,
        runs=runs,
        figures={title: figure_rows(runs, part) for part, title in (("test", "Test"), ("val", "Validation"))},
        costs=cost_rows(runs),
        curves=_curves(runs),
        differing=differing,
        common=common,
        galleries=galleries(runs),
        configs=[yaml.safe_dump(run.config, sort_keys=False) for run in runs],
    )


def galleries(runs: Sequence[RunFiles]) -> list[Gallery]:
    """Return the pictures, those of the same name of all runs together."""
    names = dict.fromkeys(name for run in runs for name in run.pictures)
    found = []
    for start, title in _PICTURES.items():
        for name in names:
            if name.startswith(start):
                part = _PARTS.get(Path(name).stem.rpartition("_")[2], ", over time")
                images = [_shown(run.pictures.get(name)) for run in runs]
                found.append(Gallery(title + part, images))
    return found


def _shown(path: Path | None) -> Shown:
    if path is None:
        return Shown(None, "no such picture")
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's ways to refuse a file that is cut or is no picture
        return Shown(None, f"{path.name} can't be shown, it is damaged ({error})")
    return Shown(data_url(path))


def data_url(path: Path) -> str:
    """Return a file as a URL that holds its content."""
    kind = mimetypes.guess_type(path.name)[0]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _curves(runs: Sequence[RunFiles]) -> str | None:
    panels = panels_of(runs[0].curves) if len(runs) == 1 else _panels_of_several(runs)
    if not panels:
        return None
    costs = {run.record.get(LOSS_IN_ONE_POINT) for run in runs}
    levels = levels_of(costs.pop()) if len(costs) == 1 else {}  # a line of one run would mislead beside others
    image = png(pixels(learning_curves(panels, levels=levels)))
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def _panels_of_several(runs: Sequence[RunFiles]) -> dict[str, dict[str, Curve]]:
    """A panel for each scalar, a curve for each run."""
    panels = {
        title: {run.name: run.curves[tag] for run in runs if tag in run.curves} for tag, title in _COMPARED.items()
    }
    return {title: curves for title, curves in panels.items() if curves}

"""`search --index DIR --query IMG... -k 10`: the nearest pictures, printed and shown."""

import os
from pathlib import Path
from typing import Any

from metric_lightning.command_line.commands import parsed
from metric_lightning.deployment.device import usable_device
from metric_lightning.deployment.embedder import Embedder, Match
from metric_lightning.deployment.image_index import ImageIndex
from metric_lightning.deployment.picture_files import pictures_in
from metric_lightning.deployment.result_page import page_writer_of
from metric_lightning.errors import UserError
from metric_lightning.files import require_writable
from metric_lightning.printable import printable

_MATCHES = 10


def main(arguments: list[str]) -> None:
    """Run the command."""
    run(parsed("search", arguments, add_arguments))


def add_arguments(parser: Any) -> None:
    """Add the command's arguments."""
    parser.add_argument("--index", type=str, required=True, help="folder that `index` has written")
    parser.add_argument("--query", type=str, nargs="+", required=True, help="pictures, or folders of pictures")
    parser.add_argument(
        "-k", "--k", type=int | None, default=None, help="how many matches of each query; default: 10, or all there are"
    )
    parser.add_argument(
        "--ckpt_path", type=str | None, default=None, help="checkpoint of the model; default: that of the index"
    )
    parser.add_argument("--output", type=str, default="search.html", help="page to write, .html or .png")
    parser.add_argument("--device", type=str | None, default=None, help="default: the first GPU, else the CPU")


def run(settings: Any) -> None:
    """Search, print what was found, and write the page."""
    device = usable_device(settings.device)
    page = Path(settings.output)
    write_page = page_writer_of(page)
    index = ImageIndex.load(settings.index)
    k = min(_MATCHES, len(index.vectors)) if settings.k is None else settings.k
    index.vectors.require_neighbours(k)
    require_writable(page)
    queries = [str(path) for name in settings.query for path in (pictures_in(name) if Path(name).is_dir() else [name])]
    embedder = Embedder.load(settings.ckpt_path or _checkpoint_of(index, settings.index), device)
    if page.resolve() in {Path(query).resolve() for query in queries}:
        raise UserError(f"--output {page} is one of the queries, and would be written over; give another name")
    found = embedder.search(queries, index, k)
    for query, matches in zip(queries, found, strict=True):
        print(_lines(query, matches))
    threshold = None if embedder.calibration is None else embedder.calibration.threshold
    if threshold is None:
        print(
            "same or different isn't told: the checkpoint holds no threshold (name metric_lightning.metrics."
            "VerificationMetrics in model.metrics, and train with validation data)"
        )
    write_page(page, list(zip(queries, found, strict=True)), threshold)
    print(f"page: {printable(page)}")


def _checkpoint_of(index: ImageIndex, folder: str) -> str:
    if not index.checkpoint or not os.path.isfile(index.checkpoint):
        where = f"{index.checkpoint!r}, which is gone" if index.checkpoint else "unknown"
        raise UserError(f"the checkpoint that made {folder} is {where}; give it with --ckpt_path")
    return index.checkpoint


def _lines(query: str, matches: list[Match]) -> str:
    lines = [printable(query)]
    for rank, match in enumerate(matches, 1):
        told = ""
        if match.same is not None:
            told = f"{'same' if match.same else 'different':9}  {match.probability:4.0%}  "
        label = f"{printable(match.label)}  " if match.label else ""
        lines.append(f"  {rank:3}  {match.distance:<9.4f}  {told}{label}{printable(match.path)}")
    return "\n".join(lines)

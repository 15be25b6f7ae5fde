"""`index --ckpt_path FILE --images DIR`: a search index of pictures."""

from pathlib import Path
from typing import Any, Literal

from metric_lightning.command_line.commands import parsed
from metric_lightning.command_line.run_folder import run_folder_of
from metric_lightning.deployment.build_index import build_index, require_buildable
from metric_lightning.deployment.device import usable_device
from metric_lightning.deployment.embedder import Embedder
from metric_lightning.deployment.picture_table import PictureTable
from metric_lightning.deployment.vector_index import IndexKind
from metric_lightning.printable import printable


def main(arguments: list[str]) -> None:
    """Run the command."""
    run(parsed("index", arguments, add_arguments))


def add_arguments(parser: Any) -> None:
    """Add the command's arguments."""
    parser.add_argument("--ckpt_path", type=str, required=True, help="checkpoint of the model")
    parser.add_argument(
        "--images",
        type=str,
        required=True,
        help="folder (subfolders name classes), or table (.csv, .parquet) with path and maybe label",
    )
    parser.add_argument("--output", type=str | None, default=None, help="folder to write; default: RUN/index")
    parser.add_argument("--kind", type=IndexKind, default="flat", help="flat is exact; ivf and hnsw find nearly all")
    parser.add_argument(
        "--effort", type=int | None, default=None, help="lists (ivf) or candidates (hnsw) looked at for a query"
    )
    parser.add_argument(
        "--on_error",
        type=Literal["stop", "skip"],
        default="stop",
        help="pictures that can't be read: name them and stop, or leave them out and name them",
    )
    parser.add_argument("--batch_size", type=int, default=256, help="pictures that are embedded at once")
    parser.add_argument("--num_workers", type=int, default=0, help="processes that decode")
    parser.add_argument("--device", type=str | None, default=None, help="default: the first GPU, else the CPU")


def run(settings: Any) -> None:
    """Build the index, and say what is in it."""
    device = usable_device(settings.device)
    folder = Path(settings.output or run_folder_of(Path(settings.ckpt_path)) / "index")
    require_buildable(
        folder, settings.kind, settings.effort, settings.on_error, settings.batch_size, settings.num_workers
    )
    table = PictureTable.of(settings.images)
    embedder = Embedder.load(settings.ckpt_path, device)
    built = build_index(
        embedder,
        table,
        folder,
        kind=settings.kind,
        effort=settings.effort,
        on_error=settings.on_error,
        batch_size=settings.batch_size,
        num_workers=settings.num_workers,
    )
    for fault in built.faults:
        print(f"left out: {fault}")
    left_out = f"; {len(built.faults)} left out" if built.faults else ""
    print(f"{built.pictures} pictures, {built.classes} classes by name{left_out}: {printable(folder)}")
    if built.recall is not None:
        print(f"recall@{built.k} against exact search, of {built.queries} of its own pictures: {built.recall:.4f}")

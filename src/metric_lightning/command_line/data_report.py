"""`metric-lightning data --config X.yaml` or `--data.root photos/`: what the data are like, before any training."""

from pathlib import Path

import yaml
from lightning.pytorch import seed_everything
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from metric_lightning.callbacks.images import as_images
from metric_lightning.command_line.arguments import require_text
from metric_lightning.command_line.config_files import read_config
from metric_lightning.command_line.first_config import first_config
from metric_lightning.command_line.first_run import folder_alone
from metric_lightning.command_line.parser import OneSentenceParser, Scan
from metric_lightning.command_line.results import write_json
from metric_lightning.command_line.run_folder import LOGS, experiment_of, require_below_logs
from metric_lightning.data import Batch, LabelledDataset, MetricDataModule, Preprocessing
from metric_lightning.data.own_images import OwnImages
from metric_lightning.data.problems import (
    counts_of,
    parts_of,
    problems_of_batches,
    problems_of_inputs,
    problems_of_labels,
    sizes_of,
)
from metric_lightning.errors import UserError
from metric_lightning.files import require_writable, write_atomically
from metric_lightning.plots import Picture, gallery_figure
from metric_lightning.plots.canvas import pixels, png
from metric_lightning.printable import printable

_CLASSES = 30  # rows of the table
_COLUMNS, _ROWS = 8, 8  # of the picture


def main(arguments: list[str]) -> None:
    """Print counts and problems, and write them and a picture of batches to lightning_logs/EXPERIMENT/data/.

    Raises:
        UserError: there are no such data, or no config.
    """
    require_text(arguments)
    scan = _scan()
    given, rest = scan.parse_known_args(arguments)
    if given.help:
        scan.print_help()
        print("  --data.ARGUMENT VALUE      argument of the data module; --data.root FOLDER alone is enough")
        return
    if given.max_inputs < 0:
        raise UserError(f"--max_inputs must be at least 0, got {given.max_inputs}")
    data, name = _data(given.config, rest)
    require_below_logs(given.experiment or name)
    folder = Path(given.output) if given.output else LOGS / (given.experiment or name) / "data"
    if isinstance(data, OwnImages):
        data.on_error = "skip"  # all problems are to be told, not the first
    data.setup()
    undrawn = problems_of_batches(data)
    problems = problems_of_labels(data) + undrawn
    require_writable(folder / "report.json")
    size = sum(len(part) for part in parts_of(data).values())
    if size <= given.max_inputs:
        problems += problems_of_inputs(data)
    else:
        problems.append(f"not looked for duplicates: {size:,} samples are more than --max_inputs {given.max_inputs:,}.")
    _print(data, problems)
    picture = folder / "batches.png"
    drawn = not undrawn and _draw(data, picture)
    described = {"parts": sizes_of(data), "classes": counts_of(data), "problems": problems}
    write_json(folder / "report.json", described | {"preprocessing": data.preprocessing()})
    reason = "there are none" if undrawn else "inputs are no pictures"
    print(f"sample batches: {printable(picture) if drawn else f'{reason}, so none is drawn'}")
    print(f"all counts:     {printable(folder / 'report.json')}")


def _scan() -> Scan:
    scan = Scan()
    scan.prog, scan.description = "metric-lightning data", __doc__
    scan.add_argument("--help", "-h", action="store_true")
    scan.add_argument("--config", "-c", action="append", default=[], help="YAML file of a run")
    scan.add_argument("--experiment", help="name of the folder in lightning_logs/")
    scan.add_argument("--output", help="folder to write to, instead")
    scan.add_argument(
        "--max_inputs", type=int, default=20_000, help="look for duplicates among at most so many samples"
    )
    return scan


def _data(files: list[str], rest: list[str]) -> tuple[MetricDataModule, str]:
    """Return the data module that the arguments mean, and a name for it."""
    configs = [read_config(file) for file in files]
    name = experiment_of(files)
    root, others = folder_alone(rest)
    if not configs and root is not None:
        configs, rest, name = [first_config(root).config], others, root.resolve().name
    elif not configs and not rest:
        raise UserError("data needs --config FILE.yaml, or --data.root FOLDER")
    parser = OneSentenceParser(prog="metric-lightning data")
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(MetricDataModule, "data", required=True)
    texts = [yaml.safe_dump({"data": config["data"]}) for config in configs if "data" in config]
    seeds = [config["seed_everything"] for config in configs if type(config.get("seed_everything")) is int]
    seed_everything(seeds[-1] if seeds else 0, verbose=False)
    parsed = parser.parse_args([*(word for text in texts for word in ("--config", text)), *rest])
    data: MetricDataModule = parser.instantiate(parsed).data
    return data, name


def _print(data: MetricDataModule, problems: list[str]) -> None:
    counts, sizes = counts_of(data), sizes_of(data)
    console = Console()
    table = Table(title="samples of each class", title_justify="left")
    table.add_column("class")
    for name in sizes:
        table.add_column(name, justify="right")
    largest = sorted(counts, key=lambda name: -sum(counts[name].values()))
    shown = set(largest[: _CLASSES - 5] + largest[-5:]) if len(largest) > _CLASSES else set(largest)
    for class_name in counts:
        if class_name in shown:
            table.add_row(escape(printable(class_name)), *(str(counts[class_name][name] or "") for name in sizes))
    if len(shown) < len(counts):
        table.add_row(f"... {len(counts) - len(shown)} more classes")
    table.add_section()
    table.add_row("samples", *(f"{samples:,}" for samples, _ in sizes.values()))
    table.add_row("classes", *(f"{classes:,}" for _, classes in sizes.values()))
    console.print(table)
    print("problems:" if problems else "problems: none found")
    for problem in problems:
        print(f"  - {problem}")


def _draw(data: MetricDataModule, file: Path) -> bool:
    """Draw the first training batch as the network gets it, a row a class, and below it one sample of each class."""
    first: Batch = next(iter(data.train_dataloader()))
    evaluated = data.val_set if len(data.val_set) else data.train_eval_set
    rows = _pictures(data, first, "train")
    if not rows:
        return False
    rows = rows[: _ROWS - 2] + _pictures(data, _one_of_each(evaluated), "val" if len(data.val_set) else "train")[:2]
    title = "a training batch as the network gets it (augmented), then evaluation's inputs"
    write_atomically(file, png(pixels(gallery_figure(rows, [""] * max(map(len, rows)), title))))
    return True


def _pictures(data: MetricDataModule, batch: Batch, part: str) -> list[list[Picture]]:
    if not isinstance(batch.inputs, Tensor) or batch.inputs.ndim != 4:
        return []
    described = data.preprocessing()
    if described is None:
        images = as_images(batch.inputs)
    else:
        images = Preprocessing.from_dict(described).shown(batch.inputs).expand(-1, 3, -1, -1)
    if images is None:
        return []
    rows: dict[int, list[Picture]] = {}
    several = len(batch.labels) > len(batch.labels.unique())
    for place, (image, label) in enumerate(zip(images, batch.labels.tolist(), strict=True)):
        row = rows.setdefault(label if several else place // _COLUMNS, [])
        row.append(Picture(image, f"{part}: {_short(data.class_names[label])}"))
    return [row[:_COLUMNS] for row in rows.values()]


def _one_of_each(dataset: LabelledDataset) -> Batch:
    seen: dict[int, int] = {}
    for place, label in enumerate(dataset.labels.tolist()):
        seen.setdefault(label, place)
    return dataset.__getitems__(list(seen.values())[: 2 * _COLUMNS])


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"

"""`export --ckpt_path FILE`: a model that runs without this package."""

from pathlib import Path
from typing import Any

from metric_lightning.command_line.commands import parsed
from metric_lightning.command_line.run_folder import run_folder_of
from metric_lightning.deployment.export import export_model
from metric_lightning.deployment.trained_model import load_model
from metric_lightning.printable import printable


def main(arguments: list[str]) -> None:
    """Run the command."""
    run(parsed("export", arguments, add_arguments))


def add_arguments(parser: Any) -> None:
    """Add the command's arguments."""
    parser.add_argument("--ckpt_path", type=str, required=True, help="checkpoint of the model")
    parser.add_argument("--output", type=str | None, default=None, help="folder to write; default: RUN/export")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-5,
        help="largest difference of a component of an embedding from PyTorch's; an export that differs more is refused",
    )


def run(settings: Any) -> None:
    """Export, and say where to and how near."""
    model = load_model(settings.ckpt_path)
    folder = Path(settings.output or run_folder_of(model.checkpoint) / "export")
    exported = export_model(model, folder, settings.tolerance)
    for name, difference in exported.differences.items():
        print(f"{printable(folder / name)}: differs from PyTorch by at most {difference:.1e}")
    print(f"how a picture becomes its input: {printable(folder / 'preprocessing.json')}")
    print(f"model card: {printable(folder / 'model_card.md')}")

"""The page that goes with an exported model: what it is, what it was trained on, how good it is, how to use it."""

import json
import shlex
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from metric_lightning import __version__
from metric_lightning.checkpoints import CONFIG, MEASURED_WITH, digest_of
from metric_lightning.deployment.trained_model import TrainedModel
from metric_lightning.modules.shipping_record import KEY
from metric_lightning.printable import printable

_PACKAGES = ("torch", "torchvision", "lightning", "onnx", "onnxruntime")


def model_card(model: TrainedModel, description: Mapping[str, Any], differences: Mapping[str, float]) -> str:
    """Return the card as Markdown. A figure that isn't known is said to be unknown, never left out.

    Args:
        model: what was exported.
        description: the content of `preprocessing.json`.
        differences: of the exported models from PyTorch, by file.
    """
    record = model.content[KEY]
    module, network = type(model.module).__name__, type(model.module.network).__name__
    parameters = sum(parameter.numel() for parameter in model.module.network.parameters())
    parts = [
        f"# {network}, trained by {module} with {type(model.module.loss).__name__}",
        f"Pictures to embeddings of {description['output']['shape'][1]} components; two pictures are alike where their "
        f"{description['distance']} distance is small. {parameters:,} parameters. Exported "
        f"{datetime.now(timezone.utc):%Y-%m-%d} from `{_plain(model.checkpoint.name)}`, epoch {record['epoch']}, step "
        f"{record['step']}.",
        "## Data",
        _data(model, record),
        "## Figures",
        _figures(model, record),
        "## Threshold",
        _threshold(description),
        "## Use",
        f"`model.onnx` and `model.pt2` take `{description['input']['name']}` "
        f"{tuple(description['input']['shape'])} uint8. How a picture becomes that, also in `preprocessing.json`:",
        "\n".join(f"{number}. {step}" for number, step in enumerate(description["steps"], 1)),
        "Largest absolute difference from PyTorch, of a component of an embedding, at 1 and 7 pictures: "
        + ", ".join(f"`{name}` {difference:.1e}" for name, difference in differences.items())
        + ".",
        "Figures hold for pictures like the data above. What the model does with others, and whether it treats groups "
        "of people or things alike, was not measured here.",
        "## Versions",
        f"metric_lightning {__version__}, " + ", ".join(f"{name} {_version(name)}" for name in _PACKAGES) + ".",
        f"Model (SHA-256 of weights and preprocessing): `{description['model']}`",
        *_configuration(model),
    ]
    return "\n\n".join(parts) + "\n"


def _data(model: TrainedModel, record: Mapping[str, Any]) -> str:
    data = record["data"]
    if data is None:
        return "Unknown: the model was trained without a data module."
    rows = [f"| {name} | {part['samples']:,} | {part['classes']:,} |" for name, part in data["parts"].items()]
    names = ", ".join(_plain(name) for name in model.class_names[:20])
    more = f", and {len(model.class_names) - 20} more" if len(model.class_names) > 20 else ""
    table = "\n".join(["| part | samples | classes |", "| --- | ---: | ---: |", *rows])
    return f"`{data['class']}`\n\n{table}\n\nClasses: {names}{more}."


def _figures(model: TrainedModel, record: Mapping[str, Any]) -> str:
    found = {name: value for name, value in record["figures"].items() if not name.startswith("train/")}
    measured = _measured(model.checkpoint)
    rows = [f"| `{name}` | {value:.4f} | the checkpoint |" for name, value in sorted(found.items())]
    rows += [f"| `{name}` | {value:.4f} | `{file}` of its run |" for file, name, value in measured]
    table = "\n".join(["| figure | value | from |", "| --- | ---: | --- |", *rows])
    if measured:
        return table
    unknown = (
        "How good this checkpoint is on the test part is unknown: it was not measured there; "
        f"`metric-lightning test --ckpt_path {shlex.quote(str(model.checkpoint))}` measures it, for the next export."
    )
    return f"{table}\n\n{unknown}" if rows else unknown


def _measured(checkpoint: Path) -> list[tuple[str, str, float]]:
    """Return the figures of the test part that `test`, or else the end of `fit`, has left in the run's folder.

    Those of another checkpoint of the run are passed over.
    """
    folder = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    digest = digest_of(checkpoint)
    for file in ("test.json", "metrics.json"):
        try:
            content = json.loads((folder / file).read_text(encoding="utf-8"))
            whole_run = file == "metrics.json"
            measured_with = content[MEASURED_WITH]["test"] if whole_run else content[MEASURED_WITH]
            figures = content["test"] if whole_run else content
        except (OSError, ValueError, KeyError, TypeError):  # none, or not as they are written today
            continue
        if digest is not None and measured_with == digest:
            return [(file, name, value) for name, value in sorted(figures.items()) if isinstance(value, float)]
    return []


def _threshold(description: Mapping[str, Any]) -> str:
    calibration = description["calibration"]
    if calibration is None:
        return "None: no VerificationMetrics was fitted to validation data. Choose one on data of your own."
    return (
        f"Two pictures count as the same where their {description['distance']} distance is at most "
        f"{calibration['init_args']['threshold']:.6g}, chosen on the validation part."
    )


def _configuration(model: TrainedModel) -> list[str]:
    text = model.content.get(CONFIG)
    if text is None:
        return []
    fence = "`" * max(3, max((len(run) for run in _runs(text)), default=0) + 1)
    return ["## Configuration of the run", f"{fence}yaml\n{text.strip()}\n{fence}"]


def _runs(text: str) -> list[str]:
    return ["`" * length for length in range(1, 20) if "`" * length in text]


def _plain(text: str) -> str:
    """Return a text that Markdown and HTML show letter by letter."""
    replaced = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|" else letter for letter in replaced)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"

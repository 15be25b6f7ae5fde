"""Exports a trained model: ONNX and torch.export, checked against PyTorch, with a description and a card."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metric_lightning.callbacks.run_summary import as_json
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.deployment.model_card import model_card
from metric_lightning.deployment.pixels_to_embeddings import PixelsToEmbeddings
from metric_lightning.deployment.trained_model import TrainedModel, calibration_of, fingerprint
from metric_lightning.deployment.whole_folder import whole_folder
from metric_lightning.errors import UserError
from metric_lightning.extras import require
from metric_lightning.parts import describe

ONNX, PT2, DESCRIPTION, CARD = "model.onnx", "model.pt2", "preprocessing.json", "model_card.md"
BATCHES = (1, 7)  # sizes that parity is checked at
_INPUT, _OUTPUT = "pixels", "embeddings"


class Exported(NamedTuple):
    """What an export has found.

    Attributes:
        folder: where the files are.
        differences: largest absolute difference from PyTorch, by file.
    """

    folder: Path
    differences: dict[str, float]


def export_model(model: TrainedModel, folder: Path, tolerance: float = 1e-5) -> Exported:
    """Write `model.onnx`, `model.pt2`, `preprocessing.json` and `model_card.md` into a folder, all or nothing.

    Both models take pixels (n, C, H, W) uint8 of any number n, and normalise them themselves; `preprocessing.json` says
    how a picture becomes such pixels. Both are run on random pixels, 1 picture and 7, and compared with PyTorch.

    Args:
        model: of `load_model`.
        folder: an export that is there is replaced.
        tolerance: largest absolute difference of a component of an embedding from PyTorch's.

    Raises:
        ValueError: `tolerance` below 0.
        UserError: a package is missing, the network can't be exported, an exported model differs by more than
            `tolerance`, or the folder can't be written.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance={tolerance} must be at least 0")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, "export", "an export")
    network = PixelsToEmbeddings(model.module, model.preprocessing).cpu()
    with whole_folder(folder, known_by=DESCRIPTION) as beside:
        _write_models(network, model.preprocessing, beside)
        differences = {
            name: _difference(network, run(beside / name), model.preprocessing)
            for name, run in ((ONNX, _onnx_runner), (PT2, _pt2_runner))
        }
        for name, difference in differences.items():
            if not difference <= tolerance:
                raise UserError(
                    f"{name} differs from PyTorch by {difference:.2g}, more than the tolerance of {tolerance:g}; "
                    "nothing was written: give a larger --tolerance if embeddings are large, else report the network"
                )
        description = _description(model, beside)
        (beside / DESCRIPTION).write_text(as_json(description), encoding="utf-8")
        (beside / CARD).write_text(model_card(model, description, differences), encoding="utf-8")
    return Exported(folder, differences)


def _write_models(network: PixelsToEmbeddings, preprocessing: Preprocessing, folder: Path) -> None:
    # Two pictures: torch takes a size of 1 for a constant.
    example = (torch.zeros(2, *preprocessing.input_shape, dtype=torch.uint8),)
    shapes = {_INPUT: {0: torch.export.Dim("batch")}}
    try:
        with _quiet():
            program = torch.export.export(network, example, dynamic_shapes=shapes)
            onnx = torch.onnx.export(
                network,
                example,
                dynamo=True,
                input_names=[_INPUT],
                output_names=[_OUTPUT],
                dynamic_shapes=shapes,
                verbose=False,
            )
    except Exception as error:  # the exporters raise many kinds
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"{type(network.embed).__name__} can't be exported ({reason}): its forward must be a graph of tensor "
            "operations that doesn't depend on values, and take any number of pictures"
        ) from error
    torch.export.save(program, folder / PT2)
    assert onnx is not None
    onnx.save(folder / ONNX, external_data=False)


def _difference(network: PixelsToEmbeddings, run: Callable[[Tensor], Tensor], preprocessing: Preprocessing) -> float:
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for size in BATCHES:
        pixels = torch.randint(0, 256, (size, *preprocessing.input_shape), generator=generator, dtype=torch.uint8)
        with torch.no_grad():
            expected, found = network(pixels), run(pixels)
        if found.shape != expected.shape:
            raise UserError(f"an exported model gives {tuple(found.shape)} for {size} pictures; report the network")
        # A nan is a difference too: no comparison with it is true.
        largest = max(largest, float((found - expected).abs().max().nan_to_num(float("inf"))))
    return largest


def _onnx_runner(path: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pixels: torch.from_numpy(session.run([_OUTPUT], {_INPUT: pixels.numpy()})[0])


def _pt2_runner(path: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.load(io.BytesIO(path.read_bytes())).module()


def _description(model: TrainedModel, folder: Path) -> dict[str, Any]:
    distance, calibration = calibration_of(model.module)
    with torch.no_grad():
        pixels = torch.zeros(1, *model.preprocessing.input_shape, dtype=torch.uint8)
        dimension = _onnx_runner(folder / ONNX)(pixels).shape[1]
    return {
        "input": {"name": _INPUT, "type": "uint8", "shape": ["batch", *model.preprocessing.input_shape]},
        "output": {"name": _OUTPUT, "type": "float32", "shape": ["batch", dimension]},
        "preprocessing": model.preprocessing.as_dict(),
        "steps": steps(model.preprocessing),
        "distance": distance,
        "calibration": None if calibration is None else describe(calibration),
        "class_names": model.class_names,
        "model": fingerprint(model.module, model.preprocessing),
    }


def steps(preprocessing: Preprocessing) -> list[str]:
    """Return in words what happens to a picture before and in an exported model.

    Example:
        >>> print(*steps(Preprocessing(3, (224, 224), 256, (0.5,), (0.5,))), sep=chr(10))
        turn the picture as its EXIF says, ... make it RGB, 8 bits a channel
        unless it is 224 x 224 (height x width) already: scale its shorter side to 256 (bilinear, antialiased), and ...
        lay it out as (channels, height, width); this is the model's input
        done by the model: (pixels / 255 - mean) / std with the mean and std of each channel
    """
    height, width = preprocessing.size
    size, how = f"{height} x {width}", f"({preprocessing.interpolation}, antialiased)"
    colours = "RGB" if preprocessing.channels == 3 else "grey"
    fitted = (
        f"scale to {size} {how}"
        if preprocessing.resize is None
        else f"scale its shorter side to {preprocessing.resize} {how}, and cut out the middle {size}"
    )
    value = "1 - pixels / 255" if preprocessing.invert else "pixels / 255"
    return [
        f"turn the picture as its EXIF says, lay what is transparent on white, make it {colours}, 8 bits a channel",
        f"unless it is {size} (height x width) already: {fitted}",
        "lay it out as (channels, height, width); this is the model's input",
        f"done by the model: ({value} - mean) / std with the mean and std of each channel",
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to themselves what the exporters warn of: nothing that a user can mend."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

"""A trained model from its checkpoint alone: no data, no configuration file, nothing pickled."""

import hashlib
import importlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from metric_lightning.checkpoints import read_checkpoint
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.errors import UserError
from metric_lightning.functional.pair_distances import TrueDistance
from metric_lightning.metrics import VerificationMetrics
from metric_lightning.metrics.calibration import Calibration
from metric_lightning.modules import MetricModule
from metric_lightning.modules.data_record import KEY as DATA_RECORD
from metric_lightning.modules.shipping_record import KEY
from metric_lightning.networks.pretraining import skip_pretrained_weights


class TrainedModel(NamedTuple):
    """What a checkpoint says.

    Attributes:
        module: in evaluation mode, without gradients.
        preprocessing: how a picture becomes an input.
        class_names: of the data, by label.
        content: all of the checkpoint.
        checkpoint: the file.
    """

    module: MetricModule
    preprocessing: Preprocessing
    class_names: list[str]
    content: dict[str, Any]
    checkpoint: Path


def load_model(checkpoint: str | os.PathLike[str], preprocessing: Preprocessing | None = None) -> TrainedModel:
    """Return the model of a checkpoint.

    The file is read as data. It names classes all the same, and making them runs their code: load checkpoints that you
    would run a program from.

    Args:
        checkpoint: written by `fit`, or by a Trainer that trained a `MetricModule`.
        preprocessing: for a checkpoint of data that don't describe it; None: the checkpoint's own.

    Raises:
        UserError: the file is no checkpoint, of a module that can't be made again from it, or without preprocessing.
    """
    path = Path(checkpoint)
    content = read_checkpoint(path)
    if KEY not in content:
        raise UserError(
            f"{path} doesn't say of which class its module is: no MetricModule wrote it, or an earlier version of "
            "metric_lightning; go on training it for an epoch (fit --ckpt_path) to get one that does"
        )
    data = content.get(DATA_RECORD) or {"class_names": [], "preprocessing": None}
    if preprocessing is None:
        if data["preprocessing"] is None:
            raise UserError(
                f"{path} doesn't say how a picture becomes an input, for its data don't; give its dataset a method "
                "`preprocessing`, or load it in Python with Embedder.load(..., preprocessing=Preprocessing(...))"
            )
        preprocessing = Preprocessing.from_dict(data["preprocessing"])
    module = _module(path, content, content[KEY]["module"])
    return TrainedModel(module, preprocessing, data["class_names"], content, path)


def fingerprint(module: MetricModule, preprocessing: Preprocessing) -> str:
    """Return a SHA-256 of all that an embedding depends on: equal models, equal fingerprint.

    Example:
        >>> import torch
        >>> from metric_lightning.losses import TripletMarginLoss
        >>> from metric_lightning.modules import EmbeddingModule
        >>> from metric_lightning.networks import EmbeddingNet
        >>> prepare = Preprocessing(1, (28, 28))
        >>> module = EmbeddingModule(EmbeddingNet(input_shape=(1, 28, 28)), TripletMarginLoss())
        >>> before = fingerprint(module, prepare)
        >>> fingerprint(module, prepare) == before
        True
        >>> torch.nn.init.zeros_(next(module.network.parameters()))[0, 0, 0, 0].item()
        0.0
        >>> fingerprint(module, prepare) == before
        False
    """
    digest = hashlib.sha256(json.dumps(preprocessing.as_dict(), sort_keys=True).encode())
    for part in (module.network, module.head):
        for name, value in sorted(part.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(-1).numpy().tobytes())
    return digest.hexdigest()


def calibration_of(module: MetricModule) -> tuple[TrueDistance, Calibration | None]:
    """Return the distance that tells same from different, and its threshold: that of the first fitted metric.

    Without one, and for one that judges by the loss's own distance: the Euclidean distance and None.
    """
    for metric in module.metrics:
        if isinstance(metric, VerificationMetrics) and metric.calibration is not None:
            if metric.distance != "loss":  # a learned score of pairs, which no index finds neighbours by
                return metric.distance, metric.calibration
    return "euclidean", None


def _module(path: Path, content: dict[str, Any], class_path: str) -> MetricModule:
    place, _, name = class_path.rpartition(".")
    try:
        made = getattr(importlib.import_module(place), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{path} is of the module {class_path}, which can't be imported ({error})") from error
    if not (isinstance(made, type) and issubclass(made, MetricModule)):
        raise UserError(f"{path} names {class_path} as its module, which is no MetricModule")
    missing = {"network", "loss"} - set(content.get("hyper_parameters") or {})
    if missing:
        raise UserError(
            f"{path} doesn't say how its {' and '.join(sorted(missing))} was made (a plain nn.Module, given in "
            f"Python): load it with {name}.load_from_checkpoint(..., {sorted(missing)[0]}=...), and use "
            "Embedder(module, preprocessing)"
        )
    with skip_pretrained_weights():
        module: MetricModule = made.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    return module.eval().requires_grad_(False)

"""A frozen trunk looks at each picture once: training the head behind it takes seconds."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from metric_lightning.callbacks.messages import note
from metric_lightning.callbacks.metric_module import require_metric_module
from metric_lightning.data import Features, LabelledDataset, MetricDataModule
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically
from metric_lightning.modules import MetricModule


class CachedFeatures(Callback):
    """Before training, has a network's frozen trunk make the features of all training and validation inputs; training
    then takes those.

    The same losses as without, for a trunk that never changes and inputs that are never augmented make the same
    features in every epoch. What comes after training (test, predict, figures) takes the inputs again.

    Cost: one pass over the data, and 4 F bytes a sample, 2 kB for ResNet-18. With a folder, a later run over the same
    files with the same trunk makes no pass; without one, or for data whose files aren't known, features are kept for
    the run only.

    Args:
        folder: where features are kept between runs; None: nowhere.

    Raises:
        UserError: the network has no frozen trunk, or inputs are augmented (when training starts).
    """

    def __init__(self, folder: str | None = None):
        self.folder = None if folder is None else Path(folder).expanduser()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        require_metric_module(self, pl_module)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = getattr(trainer, "datamodule", None)
        assert isinstance(pl_module, MetricModule)
        network = pl_module.network
        if not getattr(network, "frozen", False) or not hasattr(network, "features"):
            raise UserError(
                "CachedFeatures needs a network whose trunk is frozen: give TorchvisionBackbone or TimmBackbone "
                "frozen: true, or leave the callback out"
            )
        if not isinstance(data, MetricDataModule):
            raise UserError("CachedFeatures needs a data module of metric_lightning; leave the callback out")
        if data.augment:
            raise UserError(
                "CachedFeatures takes every input once, but the data are augmented anew in every epoch; give the data "
                "augment: [], or leave the callback out"
            )
        data.take_instead(
            train=self._features(trainer, pl_module, data.train_eval_set),
            val=self._features(trainer, pl_module, data.val_set),
        )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._give_back(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._give_back(trainer)

    def _give_back(self, trainer: Trainer) -> None:
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, MetricDataModule):
            data.take_instead(train=None, val=None)

    def _features(self, trainer: Trainer, module: MetricModule, dataset: LabelledDataset) -> Features | None:
        if len(dataset) == 0:
            return None
        file = self._file(module, dataset)
        found = None if file is None else _read(file, len(dataset))
        # All ranks make features, or none: they wait for each other. Only the first one's machine may have the file.
        known_to_all = trainer.strategy.reduce_boolean_decision(found is not None, all=True)
        if found is None or not known_to_all:
            data: MetricDataModule = trainer.datamodule  # type: ignore[attr-defined]
            found = module.embed(data.loader_of(dataset), of=module.network.features).embeddings  # type: ignore[arg-type]
            if file is not None and trainer.is_global_zero:
                write_atomically(file, _bytes(found))
            note(trainer, f"CachedFeatures: {len(found):,} inputs became {found.shape[1]:,} features each.")
        return Features(found, dataset.labels, dataset.class_names)

    def _file(self, module: MetricModule, dataset: LabelledDataset) -> Path | None:
        identity = dataset.identity()
        if self.folder is None or identity is None:
            return None
        assert isinstance(module.network, nn.Module)
        digest = hashlib.blake2b(repr((identity, module.dtype, module.trainer.precision)).encode(), digest_size=16)
        for name, value in module.network.get_submodule("layers.trunk").state_dict().items():
            digest.update(name.encode() + value.cpu().flatten().view(torch.uint8).numpy().tobytes())
        return self.folder / f"{digest.hexdigest()}.npy"


def _read(file: Path, size: int) -> Tensor | None:
    try:
        found = torch.from_numpy(np.load(file, allow_pickle=False))
    except (OSError, ValueError, EOFError):  # not there yet, or damaged
        return None
    return found if len(found) == size else None


def _bytes(features: Tensor) -> bytes:
    content = io.BytesIO()
    np.save(content, features.numpy())
    return content.getvalue()

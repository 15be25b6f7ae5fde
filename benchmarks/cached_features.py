"""An epoch of training a head on a frozen backbone, with and without its features cached.

    python -m benchmarks.cached_features          (a minute on one thread)

ResNet-18 with random weights at 160 pixels, 180 pictures drawn for this; an epoch is training and validation. Only the
ratio means anything on another machine.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from PIL import Image

from metric_lightning.callbacks import CachedFeatures
from metric_lightning.data import BalancedBatches, ImageFolder
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import TorchvisionBackbone

CLASSES, EACH, SIZE, EPOCHS = 6, 30, 160, 4


class Seconds(Callback):
    """Measures each epoch, its validation included."""

    def __init__(self) -> None:
        self.of_epochs: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: object) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: object) -> None:
        self.of_epochs.append(time.perf_counter() - self._start)


def write_pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir()
        for number in range(EACH):
            coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
            picture.save(folder / f"class{label}" / f"{number}.png")


def seconds(folder: Path, callbacks: list[Callback]) -> float:
    """Return the median seconds of an epoch, the first left out."""
    torch.manual_seed(0)
    data = ImageFolder(str(folder), BalancedBatches(CLASSES, 5), augment=[], size=SIZE, num_workers=0)
    network = TorchvisionBackbone("resnet18", embedding_dim=64, frozen=True)
    module = EmbeddingModule(network, TripletMarginLoss(margin=0.2))
    clock = Seconds()
    Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[*callbacks, clock],
    ).fit(module, datamodule=data)
    return statistics.median(clock.of_epochs[1:])


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        write_pictures(Path(name))
        without, cached = seconds(Path(name), []), seconds(Path(name), [CachedFeatures()])
    print(f"an epoch: {without:.3f} s, with cached features {cached:.4f} s: {without / cached:.0f} times faster")


if __name__ == "__main__":
    main()

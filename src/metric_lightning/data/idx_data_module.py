"""What MNIST, FashionMNIST and KMNIST share."""

import os
import socket
import tempfile
from abc import ABC
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from torchvision import datasets
from torchvision.transforms.v2 import Transform

from metric_lightning.data.array_dataset import ArrayDataset
from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.idx_files import (
    IMAGES_AND_LABELS,
    cache_folder,
    find_folder,
    read_images_and_labels,
)
from metric_lightning.data.splits import Split
from metric_lightning.data.strategy import BatchStrategy
from metric_lightning.errors import DataNotFound

_SECONDS_TO_ANSWER = 30


class IDXDataModule(MetricDataModule, ABC):
    """60,000 training and 10,000 test images of 28x28 in four IDX files.

    The files, packed or not, are looked for in `root` itself and as torchvision or Debian lay
    them out below it. Without `root`, in `data/` here, in `~/.cache/metric_lightning` and in
    `/usr/share/datasets`. What is not there is downloaded by torchvision to `root` or the cache.

    Args:
        batches: how training batches are drawn. None: `PlainBatches()`.
        split: None: `SampleSplit()`, 6,000 of the training images for validation.
        root: folder of the files, or where to download them. None: the usual places.
        download: False never asks the network.
        augment: torchvision v2 transforms that each training image goes through, in order, as
            8-bit tensor.
        eval_batch_size: samples in a batch of the validation, test and gallery loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches and augmentation, not of the split. None: the one given to
            `seed_everything`, else 0.

    Raises:
        DataNotFound: not on this machine and no download (from `prepare_data` and `setup`).
    """

    names: ClassVar[list[str]]
    mean: ClassVar[float]
    std: ClassVar[float]
    source: ClassVar[type[datasets.MNIST]]
    system_folder: ClassVar[str]
    hint: ClassVar[str] = ""

    def __init__(
        self,
        batches: BatchStrategy | None = None,
        split: Split | None = None,
        root: str | None = None,
        download: bool = True,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 512,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        super().__init__(
            class_names=self.names,
            input_shape=(1, 28, 28),
            batches=batches,
            split=split,
            augment=augment,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )
        self.root = root
        self.download = download

    def prepare_data(self) -> None:
        """Download what is not on this machine."""
        if self._find() is not None:
            return
        if not self.download:
            raise self._not_found("and download is off")
        try:
            self._fetch()
        except (OSError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise self._not_found(f"and could not be downloaded ({reason})") from error

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        folder = self._find()
        if folder is None:
            raise self._not_found("and prepare_data() was not called")
        train, test = (
            ArrayDataset(*read_images_and_labels(folder, part), self.own_class_names, self.mean, self.std)
            for part in ("train", "test")
        )
        return train, test

    def _find(self) -> Path | None:
        below = [Path(self.source.__name__) / "raw", Path(self.system_folder)]
        if self.root is not None:
            root = Path(self.root).expanduser()
            return find_folder([root, root / "raw", *(root / path for path in below)])
        # The files of all three sets have the same names: here only folders named for the set count.
        roots = [Path("data"), cache_folder(), Path("/usr/share/datasets")]
        return find_folder([root / path for root in roots for path in below])

    def _target(self) -> Path:
        return cache_folder() if self.root is None else Path(self.root).expanduser()

    def _fetch(self) -> None:
        target = self._target()
        target.mkdir(parents=True, exist_ok=True)
        # A download that is cut off leaves nothing that looks whole.
        with tempfile.TemporaryDirectory(dir=target) as beside, _patience(_SECONDS_TO_ANSWER):
            self.source(beside, download=True)
            name = self.source.__name__
            (target / name).mkdir(exist_ok=True)
            os.replace(Path(beside) / name / "raw", target / name / "raw")

    def _not_found(self, why: str) -> DataNotFound:
        files = [f"{name}.gz" for pair in IMAGES_AND_LABELS.values() for name in pair]
        folder = self._target() / self.source.__name__ / "raw"
        return DataNotFound(
            f"{self.source.__name__} is not on this machine {why}: put {', '.join(files[:-1])} and "
            f"{files[-1]} into {folder}, or give the folder that holds them as `root`{self.hint}"
        )


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Give up on a network that doesn't answer; torchvision would wait forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

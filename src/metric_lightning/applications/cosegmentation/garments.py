"""Semi-synthetic pairs: garments of Fashion-MNIST pasted into photographs that come with packages."""

from itertools import product

import torch
from torch import Tensor

from metric_lightning.applications.cosegmentation.pasting import GarmentKind, PastedPairs
from metric_lightning.applications.cosegmentation.photographs import PHOTOGRAPHS, photograph
from metric_lightning.data import (
    ArrayDataset,
    BatchStrategy,
    ClassSplit,
    FashionMNIST,
    LabelledDataset,
    MetricDataModule,
)
from metric_lightning.data.dataset import Subset
from metric_lightning.data.strategy import require_at_least
from metric_lightning.errors import UserError

_EXTENTS = ((1.0, 1.0), (1.0, 0.5), (0.5, 1.0))  # height and width; the first as it is


class GarmentPairs(MetricDataModule):
    """Two photographs with garments pasted into each: one class of garment is in both, the others are in one only.

    Semi-synthetic: masks are known exactly because objects are pasted. In each picture there are one garment of the
    shared class and `distractors` of other classes, different ones in the two pictures, all of random size, place,
    side and brightness, drawn over each other where they meet (the mask is what is seen). The background is a random
    part of a photograph. Training pairs are made anew each epoch, validation and test pairs are always the same.

    Classes of the test part are in no training or validation picture, not even to distract, and the photographs of the
    three parts differ; garments of test pictures come from Fashion-MNIST's own test set.

    Args:
        root: folder of Fashion-MNIST's files, see `FashionMNIST`; None: the usual places.
        test_classes: classes never trained on: numbers or names of Fashion-MNIST's.
        pairs: training pairs an epoch.
        evaluation_pairs: validation pairs, and test pairs.
        distractors: garments of other classes in each picture.
        size: pixels a side of a picture.
        garment_size: smallest and largest side of a garment, in pixels.
        coloured: paint each garment in a random colour, so that colours tell nothing; else they are grey, as
            Fashion-MNIST has them, and of random brightness.
        rotated_classes: train also on garments turned by 90, 180 and 270 degrees, as kinds of their own: a pair may
            then show a boot in both pictures and a boot upside down in one. Six classes alone are few to learn
            comparing from.
        stretched_classes: train also on garments half as wide, and half as high, as kinds of their own.
        batches: how training batches are drawn. None: `PlainBatches()`.
        eval_batch_size: pairs in a batch of the other loaders.
        num_workers: processes that load.
        seed: of batches and training pictures. None: the one given to `seed_everything`, else 0.

    Raises:
        DataNotFound: Fashion-MNIST is neither here nor to be had (from `prepare_data` and `setup`).
        UserError: too few classes for the distractors, or scikit-image isn't installed (from `setup`).
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        root: str | None = None,
        test_classes: list[int | str] | None = None,
        pairs: int = 1600,
        evaluation_pairs: int = 400,
        distractors: int = 1,
        size: int = 64,
        garment_size: tuple[int, int] = (22, 32),
        coloured: bool = False,
        rotated_classes: bool = False,
        stretched_classes: bool = False,
        batches: BatchStrategy | None = None,
        eval_batch_size: int = 64,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        self.size = require_at_least("size", size, 16)
        self.pairs = require_at_least("pairs", pairs, 2)
        self.evaluation_pairs = require_at_least("evaluation_pairs", evaluation_pairs, 1)
        self.distractors = require_at_least("distractors", distractors, 0)
        if not 1 <= garment_size[0] <= garment_size[1] <= size:
            raise ValueError(f"garment_size must be 1 <= smallest <= largest <= size={size}, got {garment_size}")
        self.garment_size = garment_size
        self.coloured = coloured
        turns, extents = range(4 if rotated_classes else 1), _EXTENTS if stretched_classes else _EXTENTS[:1]
        self._changes = list(product(turns, extents))
        self._garments = FashionMNIST(root=root)
        names = self._garments.class_names
        # Coat, trouser, sandal, bag: one of each kind, unlike each other.
        tested: list[int | str] = ["Trouser", "Coat", "Sandal", "Bag"] if test_classes is None else test_classes
        numbers = ClassSplit(0, 0, tested).classes(names).test
        super().__init__(
            class_names=names,
            input_shape=(2, 3, size, size),
            batches=batches,
            split=ClassSplit([number for number in range(len(names)) if number not in numbers], 0, [*numbers]),
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )
        for part, classes in (("training", self.num_classes), ("test", len(numbers))):
            if classes < 1 + 2 * distractors:
                raise UserError(
                    f"{distractors} distractors in each of two pictures and a shared class need {1 + 2 * distractors} "
                    f"classes, but the {part} part has {classes}: move some, or ask for fewer distractors"
                )

    def prepare_data(self) -> None:
        """Download Fashion-MNIST where it is not on this machine."""
        self._garments.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Read garments and photographs, once."""
        if self._is_set_up:
            return
        train, test = self._garments.load()
        assert isinstance(train, ArrayDataset) and isinstance(test, ArrayDataset)
        # Validation shows classes that are trained on, but garments that are not.
        bound = len(train) * 9 // 10
        classes = self.split.classes(self.own_class_names)
        self.train_set = self.train_eval_set = self._pasted(
            "train", train.images[:bound], train.labels[:bound], classes.train, self.pairs
        )
        self.val_set = self._pasted(
            "validation", train.images[bound:], train.labels[bound:], classes.train, self.evaluation_pairs
        )
        self.test_set = self._pasted("test", test.images, test.labels, classes.test, self.evaluation_pairs)
        self.test_gallery_set = None
        self._is_set_up = True

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        """Return the pairs to train on and those to test with."""
        self.setup()
        return self.train_set, self.test_set

    def _pasted(self, part: str, images: Tensor, labels: Tensor, classes: list[int], count: int) -> LabelledDataset:
        of_class = [(number, images[labels == number]) for number in classes]
        changes = self._changes if part == "train" else self._changes[:1]
        kinds = [GarmentKind(*garments, *change) for change in changes for garments in of_class]
        pictures = [photograph(name, 2 * self.size) for name in PHOTOGRAPHS[part]]
        settings = (self.size, self.garment_size, self.distractors, self.coloured)
        pairs = PastedPairs(kinds, pictures, count, settings, self.own_class_names, fixed=part != "train")
        return Subset(pairs, torch.arange(count), self._number_of[pairs.labels], self.class_names)

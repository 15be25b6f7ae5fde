"""The LightningDataModule that all data here share."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torchvision.transforms.v2 import Transform

from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.dataset import LabelledDataset, Subset
from metric_lightning.data.loader import EvaluationLoader, TrainingLoader
from metric_lightning.data.plain_batches import PlainBatches
from metric_lightning.data.rotated_classes import RotatedClasses, turned_names, turns_of
from metric_lightning.data.sampler import EvaluationSampler
from metric_lightning.data.splits import SampleSplit, Split
from metric_lightning.data.strategy import BatchStrategy, require_at_least, require_seed


class MetricDataModule(LightningDataModule, ABC):
    """Parts labelled data into training, validation and test sets and loads batches of them.

    A subclass passes class names and input shape to `super().__init__` (so that a network can be
    sized before any data are read) and fills in `load`. It may fill in `prepare_data` to download,
    once a node.

    Classes are numbered so that those of the training part come first: training labels are
    0..num_classes-1 also after a class-disjoint split, and a class has one number in all parts.

    - `train_dataloader` draws by the strategy, with augmentation; it is resumed mid-epoch to the
      very batch;
    - `val_dataloader`, `test_dataloader`, `predict_dataloader` (the test part) and
      `gallery_dataloader` (the training part without augmentation; while testing data that come
      with a gallery for their queries, that) give every sample once, in order, shared out over
      ranks without padding. A part without samples has no loader (an empty list, as Lightning has
      it).

    Loaders ask the attached trainer for rank and world size; `Trainer(overfit_batches=...)` fixes
    the training batches.

    Args:
        class_names: of all classes of the data.
        input_shape: of one prepared input, (channels, height, width) for images.
        batches: how training batches are drawn. None: `PlainBatches()`.
        split: None: `SampleSplit()`, a tenth of the training data for validation, stratified.
        augment: torchvision v2 transforms that each training image goes through, in order, as 8-bit
            tensor.
        eval_batch_size: samples in a batch of the other loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches and augmentation, not of the split. None: the one given to
            `seed_everything`, else 0.
        rotated_classes: train also on each training class turned by 90, 180 and 270 degrees, as classes of
            their own (see `RotatedClasses`); the validation and test parts are as they are.
        mirrored_classes: train also on each training class, and each turned one, with left and right changed over, as
            classes of their own.

    Attributes:
        num_classes: number of classes of the training part; known at once.
        class_names: names by label; known at once.
        own_class_names: names in the data's own order, as `load` has them.
        input_shape: known at once.
        train_set: training part with augmentation; it and the next three are known after `setup`.
        train_eval_set: the same without.
        val_set: validation part, maybe empty.
        test_set: test part, maybe empty.
        test_gallery_set: where the test part is searched, for data that come with it; else None.

    Raises:
        ValueError: a number below its least.
        UserError: the data can't be parted or batched so (from `setup` and the loaders).

    Example:
        >>> from metric_lightning.data import ArrayDataset, BalancedBatches
        >>> class Stripes(MetricDataModule):
        ...     def __init__(self, batches: BatchStrategy | None = None):
        ...         super().__init__(["dark", "light"], (1, 2, 2), batches=batches)
        ...     def load(self):
        ...         labels = torch.arange(40) % 2
        ...         images = (labels * 255).byte()[:, None, None, None].expand(-1, 1, 2, 2)
        ...         return ArrayDataset(images, labels, self.class_names), None
        >>> data = Stripes(BalancedBatches(n_classes=2, n_samples=3))
        >>> data.num_classes
        2
        >>> data.setup()
        >>> len(data.train_set), len(data.val_set), len(data.test_set), len(data.train_dataloader())
        (28, 4, 8, 4)
        >>> next(iter(data.train_dataloader())).labels.sort().values
        tensor([0, 0, 0, 1, 1, 1])
    """

    train_set: LabelledDataset
    train_eval_set: LabelledDataset
    val_set: LabelledDataset
    test_set: LabelledDataset
    test_gallery_set: LabelledDataset | None

    def __init__(
        self,
        class_names: Sequence[str],
        input_shape: tuple[Any, ...],
        batches: BatchStrategy | None = None,
        split: Split | None = None,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 512,
        num_workers: int = 0,
        seed: int | None = None,
        rotated_classes: bool = False,
        mirrored_classes: bool = False,
    ):
        super().__init__()
        if seed is None:
            seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
        self.batches = PlainBatches() if batches is None else batches
        self.split = SampleSplit() if split is None else split
        self.augment = [] if augment is None else augment
        self.eval_batch_size = require_at_least("eval_batch_size", eval_batch_size, 1)
        self.num_workers = require_at_least("num_workers", num_workers, 0)
        self.seed = require_seed(seed)
        self.input_shape = tuple(input_shape)
        self.own_class_names = list(class_names)
        training = self.split.classes(self.own_class_names).train
        others = sorted(set(range(len(self.own_class_names))) - set(training))
        self._class_turns = turns_of(rotated_classes, mirrored_classes)
        names = turned_names([self.own_class_names[number] for number in training], self._class_turns)
        self.num_classes = len(names)
        self.class_names = names + [self.own_class_names[number] for number in others]
        self._number_of = torch.empty(len(self.own_class_names), dtype=torch.int64)
        self._number_of[training] = torch.arange(len(training))
        self._number_of[others] = torch.arange(len(others)) + self.num_classes
        self._instead: dict[str, LabelledDataset] = {}
        self._is_set_up = False

    @abstractmethod
    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        """Return all data without augmentation, and the test set that comes with them, or None.

        Raises:
            UserError: the data are not there.
        """

    @property
    def class_labels(self) -> torch.Tensor | None:
        """Return (C, L): the labels of each class, for losses whose relevance goes by them (`LabelsByClass`); None."""
        return None

    def load_test_gallery(self) -> LabelledDataset | None:
        """Return what the test part is searched in, for data that come with queries and a gallery."""
        return None

    def usable(self, samples: torch.Tensor) -> torch.Tensor:
        """Return those of a part's samples that can be used, by default all."""
        return samples

    def setup(self, stage: str | None = None) -> None:
        """Load and part the data, once; all stages need all parts, the training part as gallery."""
        if self._is_set_up:
            return
        pool, test_pool = self.load()
        self._require_as_declared(pool)
        test_labels = None if test_pool is None else test_pool.labels
        train, validation, test = self.split.samples(pool.labels, test_labels, self.own_class_names)
        train, validation, test = self.usable(train), self.usable(validation), self.usable(test)
        trained = self._part(pool, train)
        turns = self._class_turns
        if len(turns) > 1:
            trained = RotatedClasses(trained, turns, self.num_classes // len(turns), self.class_names)
        self.train_eval_set = trained
        self.val_set = self._part(pool, validation)
        self.test_set = self._part(pool if test_pool is None else test_pool, test)
        self.test_gallery_set = self._gallery_part()
        ClassIndex(self.train_eval_set.labels).require_two_classes("training")
        self.train_set = self.train_eval_set
        if self.augment:
            self.train_set = self.train_eval_set.augmented(self.augment)
        self._is_set_up = True

    def train_dataloader(self) -> TrainingLoader:
        self.setup()
        rank, world_size = self._rank_and_world_size()
        # Lightning sets it outside of the class, hence getattr.
        overfit = getattr(self.trainer, "overfit_batches", 0) > 0
        train = self._instead.get("train") or self.train_set
        sampler = self.batches.sampler(
            train.labels,
            seed=self.seed,
            shuffle=not overfit,
            rank=rank,
            world_size=world_size,
        )
        return TrainingLoader(train, sampler, self._workers(train))

    def val_dataloader(self) -> EvaluationLoader | list[EvaluationLoader]:
        self.setup()
        return self._evaluation_loader(self._instead.get("val") or self.val_set)

    def test_dataloader(self) -> EvaluationLoader | list[EvaluationLoader]:
        self.setup()
        return self._evaluation_loader(self.test_set)

    def predict_dataloader(self) -> EvaluationLoader | list[EvaluationLoader]:
        self.setup()
        return self._evaluation_loader(self.test_set)

    def gallery_dataloader(self) -> EvaluationLoader | list[EvaluationLoader]:
        """Return a loader of the training part without augmentation, the gallery of k-NN; while testing, of the
        gallery that comes with the data, if any.
        """
        self.setup()
        if self.test_gallery_set is not None and self.trainer is not None and self.trainer.testing:
            return self._evaluation_loader(self.test_gallery_set)
        return self._evaluation_loader(self.train_eval_set)

    def preprocessing(self) -> dict[str, Any] | None:
        """Return how evaluation makes an input of a picture, as plain data: channels, size, resize, mean, std,
        interpolation; None where no picture becomes an input.

        It is in every checkpoint, and `Preprocessing.from_dict` makes a function of it.
        """
        self.setup()
        found = self.train_eval_set.preprocessing()
        return None if found is None else found.as_dict()

    def loader_of(self, part: LabelledDataset) -> EvaluationLoader | list[EvaluationLoader]:
        """Return a loader of all samples of a data set, each once, in order, shared out over ranks."""
        return self._evaluation_loader(part)

    def take_instead(self, train: LabelledDataset | None, val: LabelledDataset | None) -> None:
        """Make the training and validation loaders give other inputs of the same samples, in memory; None: their own.

        Raises:
            ValueError: not as many samples as the part has.
        """
        self.setup()
        given = {"train": (train, self.train_set), "val": (val, self.val_set)}
        for name, (inputs, part) in given.items():
            if inputs is not None and not torch.equal(inputs.labels, part.labels):
                raise ValueError(f"what is taken instead of the {name} part must have its labels")
        self._instead = {name: inputs for name, (inputs, _) in given.items() if inputs is not None}

    def fingerprint(self) -> dict[str, str]:
        """Return a SHA-256 of each part, for records of a run; see `LabelledDataset`."""
        self.setup()
        parts = {"train": self.train_eval_set, "validation": self.val_set, "test": self.test_set}
        return {name: part.fingerprint() for name, part in parts.items()}

    def _evaluation_loader(self, part: LabelledDataset) -> EvaluationLoader | list[EvaluationLoader]:
        if len(part) == 0:
            return []
        rank, world_size = self._rank_and_world_size()
        sampler = EvaluationSampler(len(part), batch_size=self.eval_batch_size, rank=rank, world_size=world_size)
        return EvaluationLoader(part, sampler, self._workers(part))

    def _workers(self, part: LabelledDataset) -> int:
        return 0 if part in self._instead.values() else self.num_workers  # what is in memory needs none

    def _rank_and_world_size(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _part(self, pool: LabelledDataset, samples: torch.Tensor) -> LabelledDataset:
        return Subset(pool, samples, self._number_of[pool.labels[samples]], self.class_names)

    def _gallery_part(self) -> LabelledDataset | None:
        pool = self.load_test_gallery()
        if pool is None:
            return None
        wanted = torch.tensor(self.split.classes(self.own_class_names).test, dtype=torch.int64)
        return self._part(pool, torch.isin(pool.labels, wanted).nonzero().flatten())

    def _require_as_declared(self, pool: LabelledDataset) -> None:
        declared = (self.own_class_names, self.input_shape)
        if (pool.class_names, pool.input_shape) != declared:
            raise ValueError(
                f"load() of {type(self).__name__} returned classes {pool.class_names} of inputs "
                f"{pool.input_shape}, but its __init__ declared {declared[0]} and {declared[1]}"
            )

"""A few samples with their embeddings, the same ones all through a run.

n samples, D dimensions, C classes.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from metric_lightning.data.batch import Batch
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.modules import MetricModule

Stage = Literal["val", "test"]
Part = Literal["train", "val", "test"]

PART_TITLES: dict[Part, str] = {"train": "training set", "val": "validation set", "test": "test set"}

_BATCH = 256
_DATASETS: dict[Part, str] = {"train": "train_eval_set", "val": "val_set", "test": "test_set"}


class Samples(NamedTuple):
    """Some samples of a part of the data.

    Attributes:
        embeddings: (n, D) float32 on the CPU.
        labels: (n,) int64.
        indices: (n,) int64, their positions in `dataset`; -1 where they aren't known.
        class_names: C names.
        dataset: where their inputs are; None without a data module.
    """

    embeddings: Tensor
    labels: Tensor
    indices: Tensor
    class_names: list[str]
    dataset: LabelledDataset | None

    def inputs(self) -> Tensor | None:
        """Return the inputs (n, ...) as the network gets them; None where they aren't at hand, or are no tensors."""
        if self.dataset is None or bool((self.indices < 0).any()) or len(self.indices) == 0:
            return None
        batches = [batch.inputs for batch in inputs_of(self.dataset, self.indices)]
        return torch.cat(batches) if all(isinstance(batch, Tensor) for batch in batches) else None

    def name(self, place: int) -> str:
        """Return the name of a sample's class."""
        return self.class_names[int(self.labels[place])]

    def sample_name(self, place: int) -> str:
        """Return what a user knows a sample by: its file's path, where it is in one, else its number in the data."""
        index = int(self.indices[place])
        return str(index) if self.dataset is None else self.dataset.name_of(index)

    def few(self, most: int, seed: int = 0) -> "Samples":
        """Return at most `most` of them, as many of each class as can be."""
        chosen = stratified_choice(self.labels, most, seed)
        return self._replace(
            embeddings=self.embeddings[chosen], labels=self.labels[chosen], indices=self.indices[chosen]
        )


def samples_of(trainer: Trainer, module: MetricModule, part: Part, most: int, seed: int = 0) -> Samples | None:
    """Return at most `most` samples of a part of the data, as many of each class as can be; None where it has none.

    Validation and test samples come from the last evaluation, so they cost nothing; training samples are embedded here,
    by every rank on its own. Which samples is a function of the labels and the seed only, but that samples whose
    embeddings aren't finite are left out. Samples with several labels can't be shown by class: there are none.

    Args:
        trainer: its data module has the training part; without one there is none.
        module: has the last evaluation.
        part: "train", "val" or "test".
        most: n is at most this.
        seed: of the choice.
    """
    dataset = dataset_of(trainer, part)
    if part == "train":
        if dataset is None or len(dataset) == 0:
            return None
        found = module.embed(inputs_of(dataset, stratified_choice(dataset.labels, most, seed)), gather=False)
        chosen = torch.arange(len(found.labels))
    else:
        if part not in module.evaluated or module.evaluated[part].labels.ndim != 1:
            return None
        found = module.evaluated[part]
        chosen = stratified_choice(found.labels, most, seed)
    chosen = chosen[torch.isfinite(found.embeddings[chosen]).all(1)]
    if len(chosen) == 0:
        return None
    if dataset is None:
        class_names = [str(label) for label in range(int(found.labels.max()) + 1)]
    else:
        class_names = list(dataset.class_names)
    return Samples(found.embeddings[chosen].float(), found.labels[chosen], found.indices[chosen], class_names, dataset)


def dataset_of(trainer: Trainer, part: Part) -> LabelledDataset | None:
    """Return a part of the trainer's data module, the training part without augmentation; None where it has none."""
    dataset: LabelledDataset | None = getattr(getattr(trainer, "datamodule", None), _DATASETS[part], None)
    return dataset


def stratified_choice(labels: Tensor, most: int, seed: int = 0, at_least: int = 1) -> Tensor:
    """Return the positions, ascending, of at most `most` samples: the same number of each class, as far as it has them.

    Where classes are so many that each would have fewer than `at_least`, some classes are left out, the smallest first.

    Args:
        labels: (n,) int64.
        most: at least 0.
        seed: of the choice, which is otherwise a function of the labels.
        at_least: of each class chosen, as far as it has them; at least 1.

    Example:
        >>> labels = torch.tensor([0, 0, 0, 0, 0, 1, 1])
        >>> labels[stratified_choice(labels, 5)]
        tensor([0, 0, 0, 1, 1])
    """
    if most < 0:
        raise ValueError(f"most must be at least 0, got {most}")
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_class = shuffled[labels[shuffled].sort(stable=True).indices]
    _, sizes = torch.unique(labels, return_counts=True)
    place = torch.arange(len(labels)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    # Classes in random order, those with enough samples first.
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    order = order[sizes[order].clamp(max=at_least).sort(descending=True, stable=True).indices]
    kept = torch.zeros(len(sizes), dtype=torch.bool)
    kept[order[: max(1, most // at_least)]] = True
    place, by_class = (values[kept.repeat_interleave(sizes)] for values in (place, by_class))
    # Everyone's first comes before anyone's second.
    return by_class[place.sort(stable=True).indices[:most]].sort().values


def inputs_of(dataset: LabelledDataset, indices: Tensor) -> Iterator[Batch]:
    """Load samples, a batch at a time."""
    for part in indices.split(_BATCH):
        yield dataset.__getitems__(part.tolist())

"""Labelled data sets: what every strategy, split and module here expects of data."""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import Dataset, default_collate
from torchvision.transforms.v2 import Transform

from metric_lightning.data.batch import Batch, Draw
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.data.randomness import hashed, torch_random_restored
from metric_lightning.errors import UserError

_FINGERPRINT_SAMPLES = 64


class LabelledDataset(Dataset[tuple[Any, int]], ABC):
    """A map-style data set that knows its labels without loading an input.

    A subclass calls `super().__init__` with the labels and fills in `__getitem__`; that is all. One
    that can fetch many inputs faster than one by one also overrides `__getitems__`; one with random
    augmentation is an `AugmentableDataset`.

    Random numbers that `__getitem__` takes from torch are seeded sample by sample from the draw
    (see `Draw`), so random inputs are the same whatever the number of workers, ranks and
    interruptions.

    Args:
        labels: (n,) integers 0..C-1, tensor or array or list.
        class_names: C names.
        input_shape: shape of one input without the batch dimension, (1, 28, 28) say; see `types.InputShape`.

    Raises:
        ValueError: labels not one-dimensional, not integers, or without a name.

    Example:
        >>> class Powers(LabelledDataset):
        ...     def __init__(self, size: int):
        ...         super().__init__([i % 2 for i in range(size)], ["even", "odd"], (2,))
        ...     def __getitem__(self, index):
        ...         return torch.tensor([index, index**2]), int(self.labels[index])
        >>> Powers(4).__getitems__([3, 2])
        Batch(inputs=tensor([[3, 9], [2, 4]]), labels=tensor([1, 0]), indices=tensor([3, 2]))
        >>> Powers(4).subset([1, 3]).labels
        tensor([1, 1])
    """

    labels: Tensor
    class_names: list[str]
    input_shape: tuple[Any, ...]  # sizes; of two views both shapes, see `types.InputShape`
    groups: Tensor | None = None
    """(n,) int64, where each sample comes from (its camera, say), for metrics that ask; None where that isn't known."""

    def __init__(
        self,
        labels: Tensor | Sequence[int],
        class_names: Sequence[str],
        input_shape: Sequence[Any],
    ):
        labels = torch.as_tensor(labels)
        if labels.ndim != 1 or (len(labels) and (labels.is_floating_point() or labels.is_complex())):
            raise ValueError(
                f"labels must be one-dimensional integers, got {labels.dtype} of shape {tuple(labels.shape)}"
            )
        self.labels = labels.to(torch.int64)
        self.class_names = [str(name) for name in class_names]
        self.input_shape = tuple(input_shape)
        if len(labels) and not (0 <= labels.min() and labels.max() < len(self.class_names)):
            raise ValueError(
                f"labels must be 0..{len(self.class_names) - 1} for {len(self.class_names)} class_names, "
                f"got {int(labels.min())}..{int(labels.max())}"
            )

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return one input and its label."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return a whole batch; inputs are stacked as torch's default collate does."""
        inputs = seeded_map(lambda index: self[index][0], indices)
        chosen = torch.tensor(indices, dtype=torch.int64)
        return Batch(default_collate(inputs), self.labels[chosen], chosen)

    def augmented(self, transforms: Sequence[Transform]) -> "LabelledDataset":
        """Return this data set with random transforms before its own preparation of an input.

        Raises:
            UserError: this kind of data set has no augmentation.
        """
        raise UserError(
            f"{type(self).__name__} has no augmentation; derive it from AugmentableDataset, or give no `augment`"
        )

    def input_of(self, image: Image) -> Tensor:
        """Return a picture that isn't in the data set as an input of the network, prepared as its own are.

        Raises:
            UserError: this kind of data set has no preparation of pictures.
        """
        raise UserError(f"{type(self).__name__} doesn't say how a picture becomes an input; override `input_of`")

    def preprocessing(self) -> Preprocessing | None:
        """Return how a picture becomes an input without augmentation; None where no picture does, or not so simply."""
        return None

    def name_of(self, index: int) -> str:
        """Return what a user knows a sample by: its file's path, where it is in one, else its number."""
        return str(index)

    def identity(self) -> str | None:
        """Return a digest that changes whenever any input would; None where only loading all could tell."""
        return None

    def digest_of(self, index: int) -> bytes | None:
        """Return a digest of one sample without making an input of it; None where that saves nothing.

        Equal digests, equal inputs.
        """
        return None

    def path_of(self, index: int) -> str:
        """Return the file of a sample, "" where it has none of its own."""
        return ""

    @property
    def turnable(self) -> bool:
        """Whether `turned` works: inputs are square images."""
        return len(self.input_shape) >= 2 and self.input_shape[-1] == self.input_shape[-2]

    def turned(self, inputs: Any, quarters: Tensor) -> Any:
        """Return a batch of prepared inputs, each turned by so many quarters (n,) anticlockwise."""
        for quarter in range(1, 4):
            chosen = quarters == quarter
            inputs[chosen] = torch.rot90(inputs[chosen], quarter, (-2, -1))
        return inputs

    @property
    def mirrorable(self) -> bool:
        """Whether `mirrored` works: inputs are images, of any shape."""
        return len(self.input_shape) >= 2

    def mirrored(self, inputs: Any, chosen: Tensor) -> Any:
        """Return a batch of prepared inputs, left and right changed over in those that are chosen, (n,) bool."""
        inputs[chosen] = inputs[chosen].flip(-1)
        return inputs

    def subset(self, indices: Tensor | Sequence[int]) -> "LabelledDataset":
        """Return a view of these samples, which keeps labels and class names."""
        return Subset(self, indices)

    def fingerprint(self) -> str:
        """Return a SHA-256 of the class names, all labels and 64 evenly spaced inputs.

        For records of a run: equal data, equal fingerprint. It does not vouch for every input.
        """
        digest = hashlib.sha256(repr((self.class_names, self.input_shape, len(self))).encode())
        digest.update(self.labels.cpu().numpy().tobytes())
        chosen = torch.linspace(0, len(self) - 1, min(len(self), _FINGERPRINT_SAMPLES)).long()
        for value in seeded_map(lambda index: self[index][0], Draw(chosen.tolist(), seed=0)):
            digest.update(value.cpu().numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode())
        return digest.hexdigest()


class Subset(LabelledDataset):
    """Some samples of a data set, with their labels. `Batch.indices` are positions in the subset.

    Args:
        dataset: where the samples are.
        indices: their positions there, or a mask (n,) bool.
        labels: other labels for them; None keeps theirs.
        class_names: names of the other labels; None keeps theirs.

    Raises:
        IndexError: an index outside the data set.
    """

    def __init__(
        self,
        dataset: LabelledDataset,
        indices: Tensor | Sequence[int],
        labels: Tensor | None = None,
        class_names: Sequence[str] | None = None,
    ):
        chosen = torch.as_tensor(indices)
        if chosen.dtype == torch.bool:
            chosen = chosen.nonzero().flatten()
        chosen = chosen.to(torch.int64)
        if len(chosen) and not (0 <= chosen.min() and chosen.max() < len(dataset)):
            raise IndexError(f"indices must be 0..{len(dataset) - 1}, got {int(chosen.min())}..{int(chosen.max())}")
        super().__init__(
            dataset.labels[chosen] if labels is None else labels,
            dataset.class_names if class_names is None else class_names,
            dataset.input_shape,
        )
        self.dataset = dataset
        self.indices = chosen
        self.groups = None if dataset.groups is None else dataset.groups[chosen]

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.dataset[int(self.indices[index])][0], int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        inner = self.indices[chosen].tolist()
        if isinstance(indices, Draw):
            inner = Draw(inner, indices.seed, indices.first)
        return Batch(self.dataset.__getitems__(inner).inputs, self.labels[chosen], chosen)

    def augmented(self, transforms: Sequence[Transform]) -> "Subset":
        other = copy.copy(self)
        other.dataset = self.dataset.augmented(transforms)
        return other

    def input_of(self, image: Image) -> Tensor:
        return self.dataset.input_of(image)

    def preprocessing(self) -> Preprocessing | None:
        return self.dataset.preprocessing()

    def identity(self) -> str | None:
        inner = self.dataset.identity()
        if inner is None:
            return None
        return hashlib.blake2b(inner.encode() + self.indices.numpy().tobytes(), digest_size=16).hexdigest()

    def digest_of(self, index: int) -> bytes | None:
        return self.dataset.digest_of(int(self.indices[index]))

    def name_of(self, index: int) -> str:
        return self.dataset.name_of(int(self.indices[index]))

    def path_of(self, index: int) -> str:
        return self.dataset.path_of(int(self.indices[index]))

    @property
    def turnable(self) -> bool:
        """Whether those of the whole are."""
        return self.dataset.turnable

    def turned(self, inputs: Any, quarters: Tensor) -> Any:
        return self.dataset.turned(inputs, quarters)

    @property
    def mirrorable(self) -> bool:
        """Whether those of the whole are."""
        return self.dataset.mirrorable

    def mirrored(self, inputs: Any, chosen: Tensor) -> Any:
        return self.dataset.mirrored(inputs, chosen)


def seeded_map(function: Callable[[int], Any], indices: Iterable[int]) -> list[Any]:
    """Return `function` of each index, torch's random numbers seeded for each from a `Draw`."""
    if not isinstance(indices, Draw) or indices.seed is None:
        return [function(index) for index in indices]
    seeds = hashed(indices.seed, indices.first + np.arange(len(indices)))
    results = []
    with torch_random_restored() as random:
        for index, seed in zip(indices, seeds.tolist(), strict=True):
            random.manual_seed(seed >> 1)
            results.append(function(index))
    return results

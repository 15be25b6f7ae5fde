"""A class that is turned or mirrored is another class: up to eight times the classes from the same pictures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torchvision.transforms.v2 import Transform

from metric_lightning.data.batch import Batch, Draw
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.errors import UserError


class Turn(NamedTuple):
    """Left and right changed over, where `mirrored`, and then so many quarters anticlockwise."""

    mirrored: bool
    quarters: int

    def name_of(self, class_name: str) -> str:
        """Return the name of a class turned so."""
        return class_name + " mirrored" * self.mirrored + (f" turned {90 * self.quarters}" if self.quarters else "")


def turns_of(rotated: bool, mirrored: bool) -> list[Turn]:
    """Return the turns that make classes of their own; the first leaves all as it is.

    Example:
        >>> [turn.name_of("a") for turn in turns_of(rotated=False, mirrored=True)]
        ['a', 'a mirrored']
    """
    return [Turn(side, quarters) for side in (False, True)[: 1 + mirrored] for quarters in range(4 if rotated else 1)]


def turned_names(class_names: Sequence[str], turns: Sequence[Turn]) -> list[str]:
    """Return the names of all classes by the first turn, then of all by the next, and so on.

    Example:
        >>> turned_names(["a", "b"], turns_of(rotated=True, mirrored=False))[:4]
        ['a', 'b', 'a turned 90', 'b turned 90']
    """
    return [turn.name_of(name) for turn in turns for name in class_names]


class RotatedClasses(LabelledDataset):
    """A data set of n images and C classes as T turns leave it: T n images of T C classes.

    Image t n + i is image i by turn t; its label is t C + label i. Random augmentation comes before the turn.

    Args:
        dataset: what to turn: inputs (..., S, S), or what says of itself how it is turned.
        turns: None: by 0, 90, 180 and 270 degrees.
        num_classes: C; None: as many as the data set has names.
        class_names: of at least T C classes; None: `turned_names` of the data set's.

    Raises:
        UserError: the inputs are to be turned by quarters and are not square, or mirrored and no images, and can't be
            turned otherwise.

    References:
        Santoro et al. 2016, Meta-Learning with Memory-Augmented Neural Networks; Vinyals et al. 2016, Matching Networks
        for One Shot Learning: turned characters as classes.

    Example:
        >>> from metric_lightning.data import ArrayDataset
        >>> image = torch.tensor([[[[255, 0], [0, 0]]]]).byte()
        >>> turned = RotatedClasses(ArrayDataset(image, [0], ["corner"]))
        >>> turned.class_names, turned[1]
        (['corner', 'corner turned 90', 'corner turned 180', 'corner turned 270'], (tensor([[[0., 0.], [1., 0.]]]), 1))
    """

    def __init__(
        self,
        dataset: LabelledDataset,
        turns: Sequence[Turn] | None = None,
        num_classes: int | None = None,
        class_names: Sequence[str] | None = None,
    ):
        self.turns = list(turns_of(rotated=True, mirrored=False) if turns is None else turns)
        shape = dataset.input_shape
        if any(turn.quarters for turn in self.turns) and not dataset.turnable:
            raise UserError(f"rotated_classes turns square images, but these have the shape {tuple(shape)}")
        if any(turn.mirrored for turn in self.turns) and not dataset.mirrorable:
            raise UserError(f"mirrored_classes mirrors images, but these inputs have the shape {tuple(shape)}")
        count = len(dataset.class_names) if num_classes is None else num_classes
        names = turned_names(dataset.class_names[:count], self.turns) if class_names is None else class_names
        labels = torch.cat([dataset.labels + place * count for place in range(len(self.turns))])
        super().__init__(labels, names, shape)
        self.dataset = dataset
        self.num_classes = count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        place, inner = divmod(int(index), len(self.dataset))
        turned = self._turned(self.dataset.__getitems__([inner]).inputs, torch.tensor([place]))
        return turned[0], int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        places = chosen // max(1, len(self.dataset))
        inner = (chosen % max(1, len(self.dataset))).tolist()
        if isinstance(indices, Draw):
            inner = Draw(inner, indices.seed, indices.first)
        inputs = self.dataset.__getitems__(inner).inputs
        return Batch(self._turned(inputs, places), self.labels[chosen], chosen)

    def _turned(self, inputs: Any, places: torch.Tensor) -> Any:
        mirrored, quarters = torch.tensor(self.turns)[places].unbind(1)
        if mirrored.any():
            inputs = self.dataset.mirrored(inputs, mirrored.bool())
        return self.dataset.turned(inputs, quarters) if quarters.any() else inputs

    def augmented(self, transforms: Sequence[Transform]) -> "RotatedClasses":
        return RotatedClasses(self.dataset.augmented(transforms), self.turns, self.num_classes, self.class_names)

    def input_of(self, image: Image) -> torch.Tensor:
        return self.dataset.input_of(image)

    def preprocessing(self) -> Preprocessing | None:
        return self.dataset.preprocessing()

    def path_of(self, index: int) -> str:
        return self.dataset.path_of(int(index) % len(self.dataset))

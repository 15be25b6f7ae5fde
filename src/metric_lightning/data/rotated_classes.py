"""A class turned by a quarter is another class: four times the classes from the same pictures."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL.Image import Image
from torchvision.transforms.v2 import Transform

from metric_lightning.data.batch import Batch, Draw
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.errors import UserError

QUARTERS = 4


class RotatedClasses(LabelledDataset):
    """A data set of n square images and C classes, followed by itself turned by 90, 180 and 270 degrees: 4 n images of
    4 C classes.

    Image r n + i is image i turned r quarters anticlockwise; its label is r C + label i. Random augmentation comes
    before the turn.

    Args:
        dataset: what to turn: inputs (..., S, S), or what says of itself how it is turned.
        num_classes: C; None: as many as the data set has names.
        class_names: of at least 4 C classes; None: `rotated_names` of the data set's.

    Raises:
        UserError: the inputs are not square, or can't be turned otherwise.

    References:
        Santoro et al. 2016, Meta-Learning with Memory-Augmented Neural Networks; Vinyals et al. 2016, Matching Networks
        for One Shot Learning.

    Example:
        >>> from metric_lightning.data import ArrayDataset
        >>> image = torch.tensor([[[[255, 0], [0, 0]]]]).byte()
        >>> turned = RotatedClasses(ArrayDataset(image, [0], ["corner"]))
        >>> turned.class_names, turned[1]
        (['corner', 'corner turned 90', 'corner turned 180', 'corner turned 270'], (tensor([[[0., 0.], [1., 0.]]]), 1))
    """

    def __init__(
        self, dataset: LabelledDataset, num_classes: int | None = None, class_names: Sequence[str] | None = None
    ):
        shape = dataset.input_shape
        if not dataset.turnable:
            raise UserError(f"rotated_classes turns square images, but these have the shape {tuple(shape)}")
        count = len(dataset.class_names) if num_classes is None else num_classes
        names = rotated_names(dataset.class_names[:count]) if class_names is None else class_names
        labels = torch.cat([dataset.labels + quarter * count for quarter in range(QUARTERS)])
        super().__init__(labels, names, shape)
        self.dataset = dataset
        self.num_classes = count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        quarter, inner = divmod(int(index), len(self.dataset))
        batch = self.dataset.__getitems__([inner])
        turned = self.dataset.turned(batch.inputs, torch.tensor([quarter]))
        return turned[0], int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        quarters = chosen // max(1, len(self.dataset))
        inner = (chosen % max(1, len(self.dataset))).tolist()
        if isinstance(indices, Draw):
            inner = Draw(inner, indices.seed, indices.first)
        inputs = self.dataset.__getitems__(inner).inputs
        return Batch(self.dataset.turned(inputs, quarters), self.labels[chosen], chosen)

    def augmented(self, transforms: Sequence[Transform]) -> "RotatedClasses":
        return RotatedClasses(self.dataset.augmented(transforms), self.num_classes, self.class_names)

    def input_of(self, image: Image) -> torch.Tensor:
        return self.dataset.input_of(image)

    def preprocessing(self) -> Preprocessing | None:
        return self.dataset.preprocessing()

    def path_of(self, index: int) -> str:
        return self.dataset.path_of(int(index) % len(self.dataset))


def rotated_names(class_names: Sequence[str]) -> list[str]:
    """Return the names of all classes, then of all turned by 90 degrees, and so on.

    Example:
        >>> rotated_names(["a", "b"])[:4]
        ['a', 'b', 'a turned 90', 'b turned 90']
    """
    turned = [f"{name} turned {90 * quarter}" for quarter in range(1, QUARTERS) for name in class_names]
    return [*class_names, *turned]

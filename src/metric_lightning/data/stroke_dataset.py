"""Drawings as sequences of pen positions, held in memory."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.tv_tensors import KeyPoints

from metric_lightning.data.augmentable_dataset import AugmentableDataset
from metric_lightning.data.batch import Batch
from metric_lightning.data.dataset import seeded_map
from metric_lightning.data.omniglot_strokes import FEATURES, PAPER, resampled, stroke_features
from metric_lightning.functional.sequences import padded
from metric_lightning.types import Sequences


class StrokeDataset(AugmentableDataset):
    """Drawings of strokes, resampled to points of equal spacing; an input is (T, 5), see `stroke_features`.

    Augmentation transforms the points as torchvision's `KeyPoints` on a paper of 105x105 pixels: affine transforms do,
    those of colours don't change them.

    Args:
        drawings: n lists of strokes, each (P, 2) in pixels, y down.
        labels: (n,) integers.
        class_names: of all classes.
        spacing: pixels between points.

    Example:
        >>> drawing = [torch.tensor([[0.0, 0.0], [12.0, 0.0]]), torch.tensor([[6.0, 6.0]])]
        >>> batch = StrokeDataset([drawing, drawing[1:]], [0, 1], ["T", "dot"]).__getitems__([0, 1])
        >>> batch.inputs.steps.shape, batch.inputs.lengths.tolist()
        (torch.Size([2, 4, 5]), [4, 1])
    """

    def __init__(
        self,
        drawings: Sequence[Sequence[Tensor]],
        labels: Tensor | Sequence[int],
        class_names: Sequence[str],
        spacing: float = 6.0,
    ):
        super().__init__(labels, class_names, (FEATURES,))
        if not 0 < spacing < float("inf"):
            raise ValueError(f"spacing must be above 0 pixels, got {spacing}")
        if len(drawings) != len(self.labels):
            raise ValueError(f"labels must be as many as drawings, got {len(self.labels)} for {len(drawings)}")
        self.spacing = spacing
        self._points, self._starts = [], []
        for drawing in drawings:
            strokes = [resampled(stroke, spacing) for stroke in drawing]
            self._points.append(torch.cat(strokes))
            self._starts.append(torch.cat([torch.arange(len(stroke)) == 0 for stroke in strokes]))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        points = self._points[index]
        if self._transforms:
            keys = KeyPoints(points.clone(), canvas_size=(PAPER, PAPER))
            points = self.transformed(keys).as_subclass(Tensor)
        return stroke_features(points, self._starts[index], self.spacing), int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        items = seeded_map(lambda index: self[index][0], indices)
        empty = Sequences(torch.zeros(0, 0, FEATURES), torch.zeros(0, dtype=torch.int64))
        return Batch(padded(items) if items else empty, self.labels[chosen], chosen)

    @property
    def turnable(self) -> bool:
        """Pen paths can be turned about the centre of the paper."""
        return True

    def turned(self, inputs: Sequences, quarters: Tensor) -> Sequences:
        steps = inputs.steps.clone()
        for quarter in range(1, 4):
            chosen = quarters >= quarter
            x, y, dx, dy, start = steps[chosen].unbind(-1)  # anticlockwise as one sees it: y goes down
            steps[chosen] = torch.stack([y, -x, dy, -dx, start], -1)
        return Sequences(steps, inputs.lengths)

    @property
    def mirrorable(self) -> bool:
        """So can they be mirrored."""
        return True

    def mirrored(self, inputs: Sequences, chosen: Tensor) -> Sequences:
        steps = inputs.steps.clone()
        steps[chosen] *= torch.tensor([-1.0, 1.0, -1.0, 1.0, 1.0])  # x and dx, about the centre of the paper
        return Sequences(steps, inputs.lengths)

"""Omniglot in two views: each drawing as a picture and as the pen went."""

import torch
from torchvision.transforms.v2 import Transform

from metric_lightning.data.array_dataset import ArrayDataset
from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.omniglot import of_alphabets
from metric_lightning.data.omniglot_files import find_drawings, read_drawings
from metric_lightning.data.omniglot_strokes import FEATURES, find_strokes, read_strokes
from metric_lightning.data.splits import ClassSplit
from metric_lightning.data.strategy import BatchStrategy, require_at_least
from metric_lightning.data.stroke_dataset import StrokeDataset
from metric_lightning.data.two_view_dataset import TwoViewDataset
from metric_lightning.errors import UserError

_MEAN, _STD = 0.08, 0.23  # of the background set at 28x28, ink 1


class OmniglotTwoViews(MetricDataModule):
    """Drawings of characters as pictures and as pen strokes, class-disjoint by alphabets; inputs are `TwoViews`.

    Where the evaluation alphabets are there they test; else some background alphabets do (`test_alphabets`). Others
    validate, the rest trains.

    Args:
        root: the pictures, as `Omniglot` takes them.
        strokes: the pen strokes: folder that holds `strokes_background`, `strokes_evaluation` (folders or zip files),
            or several folders or zip files.
        validation_alphabets: how many background alphabets validate (drawn at random), or which.
        test_alphabets: how many background alphabets test, or which; 0: the evaluation alphabets do.
        split_seed: of the draw of alphabets.
        size: pixels a side of a picture.
        spacing: pixels of 105 between the points of a stroke.
        batches: how training batches are drawn. None: `PlainBatches()`.
        rotated_classes: train also on characters turned by 90, 180 and 270 degrees, as classes of their own.
        mirrored_classes: train also on all these characters with left and right changed over, as classes of their own.
        augment: torchvision v2 transforms that pictures and points go through (affine ones change both alike).
        eval_batch_size: samples in a batch of the validation, test and gallery loaders.
        num_workers: processes that load.
        seed: of batches and augmentation, not of the split. None: the one given to `seed_everything`, else 0.

    Raises:
        DataNotFound: pictures or strokes are not there.
        UserError: a drawing has no strokes, or there are too few alphabets.

    References:
        Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction (Science
        2015).
    """

    def __init__(
        self,
        root: str | list[str] = "data",
        strokes: str | list[str] = "data",
        validation_alphabets: int | list[str] = 5,
        test_alphabets: int | list[str] = 0,
        split_seed: int = 0,
        size: int = 28,
        spacing: float = 6.0,
        batches: BatchStrategy | None = None,
        rotated_classes: bool = False,
        mirrored_classes: bool = False,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 512,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        self.size = require_at_least("size", size, 1)
        self.spacing = spacing
        self._drawings = find_drawings([root] if isinstance(root, str) else root)
        self._strokes = find_strokes([strokes] if isinstance(strokes, str) else strokes)
        missing = [drawing for drawing in self._drawings if drawing not in self._strokes]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self._drawings)} drawings have no strokes, {missing[0].character} by drawer "
                f"{missing[0].drawer} first; give the strokes of the same part of Omniglot"
            )
        names = list(dict.fromkeys(drawing.character for drawing in self._drawings))
        test = {drawing.character for drawing in self._drawings if drawing.evaluation}
        background = [name for name in names if name not in test]
        if test_alphabets:
            if test:
                raise UserError("test_alphabets is given, but the evaluation alphabets are there to test; leave it out")
            test = set(of_alphabets(background, test_alphabets, split_seed))
            background = [name for name in background if name not in test]
        validation = of_alphabets(background, validation_alphabets, split_seed + 1)
        training = sorted(set(background) - set(validation))
        super().__init__(
            class_names=names,
            input_shape=((1, size, size), (FEATURES,)),
            batches=batches,
            split=ClassSplit([*training], [*validation], [*sorted(test)]),
            augment=augment,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            rotated_classes=rotated_classes,
            mirrored_classes=mirrored_classes,
        )

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        number_of = {name: number for number, name in enumerate(self.own_class_names)}
        labels = torch.tensor([number_of[drawing.character] for drawing in self._drawings])
        images = ArrayDataset(read_drawings(self._drawings, self.size), labels, self.own_class_names, _MEAN, _STD)
        pens = [read_strokes(drawing, self._strokes[drawing]) for drawing in self._drawings]
        return TwoViewDataset(images, StrokeDataset(pens, labels, self.own_class_names, self.spacing)), None

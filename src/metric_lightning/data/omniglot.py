"""Omniglot: characters of many alphabets, each drawn by twenty people."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import Transform

from metric_lightning.data.array_dataset import ArrayDataset
from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.omniglot_files import find_drawings, prepared, read_drawings
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.data.randomness import generator
from metric_lightning.data.splits import ClassSplit, Split
from metric_lightning.data.strategy import BatchStrategy, require_at_least
from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.one_shot_files import OneShotRun, load_trials

_MEAN, _STD = 0.08, 0.23  # of the background set at 28x28, ink 1


class Omniglot(MetricDataModule):
    """1,623 characters of 50 alphabets, each drawn by 20 people; grey levels, ink bright on dark paper.

    Class-disjoint as its authors mean it: the background alphabets train, some of them, all characters of an alphabet
    together, validate, and the evaluation alphabets test where they are there. With `trials` the test part is instead
    the authors' one-shot trials, run by run the 20 pictures to compare with and the 20 to tell, as the metric
    `OneShotTrials` expects them. (The pictures of a trial are classes of their own, so other figures of such a test
    part take a character that several runs hold for different ones.)

    Args:
        root: folder that holds `omniglot-py/` (as torchvision leaves it) or `images_background`, `images_evaluation`
            (folders or zip files); or several folders or zip files. A drawing that several hold counts once.
        trials: folder or zip file of the one-shot trials, `run01/training`, `run01/test`, `run01/class_labels.txt`.
        validation_alphabets: how many background alphabets validate (drawn at random), or which.
        split: another split of all characters, into parts of the user's own; not with `trials`.
        split_seed: of the draw of validation alphabets.
        drawers: who of the 20 people, 1..20; None: all.
        size: pixels a side; drawings are 105.
        batches: how training batches are drawn. None: `PlainBatches()`.
        rotated_classes: train also on characters turned by 90, 180 and 270 degrees, as classes of their own.
        mirrored_classes: train also on all these characters with left and right changed over, as classes of their own.
        augment: torchvision v2 transforms that each training image goes through, in order, as 8-bit tensor.
        eval_batch_size: samples in a batch of the validation, test and gallery loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches and augmentation, not of the split. None: the one given to `seed_everything`, else 0.
        test_alphabets: how many background alphabets test, or which; 0: the evaluation alphabets do, or the trials.
        test_drawers: who of the drawers draw for the validation and test parts, and not for training, so that no person
            is on both sides; None: all do for all parts.

    Attributes:
        class_names: "<alphabet>/<character>", or "run01/class01" of the trials.

    Raises:
        DataNotFound: there are no drawings, or no trials (from the constructor: the files say which classes there are).
        UserError: there is no such alphabet, or too few.
        ValueError: an argument outside its range.

    References:
        Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction (Science
        2015).
    """

    def __init__(
        self,
        root: str | list[str] = "data",
        trials: str | None = None,
        validation_alphabets: int | list[str] = 5,
        split: Split | None = None,
        split_seed: int = 0,
        drawers: list[int] | None = None,
        size: int = 28,
        batches: BatchStrategy | None = None,
        rotated_classes: bool = False,
        mirrored_classes: bool = False,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 512,
        num_workers: int = 0,
        seed: int | None = None,
        test_alphabets: int | list[str] = 0,
        test_drawers: list[int] | None = None,
    ):
        if split is not None and test_alphabets:
            raise ValueError("split and test_alphabets both say what tests; give one of the two")
        if split is not None and trials is not None:
            raise ValueError("split is for the characters alone: trials are the test part; give one of the two")
        self.size = require_at_least("size", size, 1)
        kept = set(range(1, 21) if drawers is None else drawers)
        if not kept or not kept <= set(range(1, 21)):
            raise ValueError(f"drawers must be some of 1..20, got {drawers}")
        self._test_drawers = set(test_drawers or ())
        if not self._test_drawers <= kept or self._test_drawers == kept:
            raise ValueError(f"test_drawers must be some of the drawers, and leave some to train, got {test_drawers}")
        found = find_drawings([root] if isinstance(root, str) else root)
        self._runs = _load_runs(trials)
        self._drawings = {
            drawing: read
            for drawing, read in found.items()
            if drawing.drawer in kept and not (drawing.evaluation and self._runs)
        }
        names = list(dict.fromkeys(drawing.character for drawing in self._drawings))
        test = {drawing.character for drawing in self._drawings if drawing.evaluation}
        trial_names = [f"{run.name}/class{place + 1:02d}" for run in self._runs for place in range(len(run.training))]
        if split is None:
            background = [name for name in names if name not in test]
            if test_alphabets:
                if test or self._runs:
                    raise UserError(
                        "test_alphabets is given, but trials or evaluation alphabets are there to test; leave it out"
                    )
                test = set(of_alphabets(background, test_alphabets, split_seed + 1))
                background = [name for name in background if name not in test]
            validation = of_alphabets(background, validation_alphabets, split_seed)
            training = sorted(set(background) - set(validation))
            split = ClassSplit([*training], [*validation], [*sorted(test), *trial_names])
        super().__init__(
            class_names=[*names, *trial_names],
            input_shape=(1, size, size),
            batches=batches,
            split=split,
            augment=augment,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            rotated_classes=rotated_classes,
            mirrored_classes=mirrored_classes,
        )

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        number_of = {name: number for number, name in enumerate(self.own_class_names)}
        drawings = self._drawings
        if self._test_drawers:
            training = set(self.split.classes(self.own_class_names).train)
            drawings = {
                drawing: read
                for drawing, read in drawings.items()
                if (drawing.drawer in self._test_drawers) != (number_of[drawing.character] in training)
            }
        labels = [number_of[drawing.character] for drawing in drawings]
        images = [read_drawings(drawings, self.size)]
        first = len({drawing.character for drawing in self._drawings})
        for run in self._runs:
            images.append(_resized(torch.cat([run.training, run.test]), self.size))
            labels += [first + place for place in [*range(len(run.training)), *run.classes.tolist()]]
            first += len(run.training)
        return _Drawings(torch.cat(images), labels, self.own_class_names, _MEAN, _STD), None


class _Drawings(ArrayDataset):
    """Takes black ink on white paper for new pictures, as Omniglot's own files are."""

    def input_of(self, image: Image.Image) -> Tensor:
        return self._normalised(prepared(image, self.input_shape[-1])[None])[0]

    def preprocessing(self) -> Preprocessing:
        height, width = self.input_shape[1:]
        return Preprocessing(1, (height, width), None, (_MEAN,), (_STD,), invert=True)


def _load_runs(trials: str | None) -> list[OneShotRun]:
    if trials is None:
        return []
    try:
        return load_trials(Path(trials).expanduser())
    except (FileNotFoundError, ValueError) as error:
        raise DataNotFound(f"trials: {error}") from error


def of_alphabets(characters: list[str], wanted: int | list[str], seed: int) -> list[str]:
    """Return the characters of some alphabets, so many drawn at random or those that are named.

    Raises:
        UserError: there is no such alphabet, or none would be left to train.
    """
    alphabets = sorted({name.split("/")[0] for name in characters})
    if isinstance(wanted, int):
        if not 0 <= wanted < len(alphabets):
            raise UserError(
                f"validation_alphabets is {wanted}, but there are {len(alphabets)} background alphabets, of which some "
                "must be left to train; ask for fewer"
            )
        wanted = [alphabets[number] for number in generator(seed).permutation(len(alphabets))[:wanted]]
    unknown = sorted(set(wanted) - set(alphabets))
    if unknown:
        raise UserError(f"there is no background alphabet {unknown[0]!r}; there are {', '.join(alphabets)}")
    return [name for name in characters if name.split("/")[0] in set(wanted)]


def _resized(pictures: Tensor, size: int) -> Tensor:
    return torch.stack([prepared(Image.fromarray(picture[0].numpy()), size) for picture in pictures])

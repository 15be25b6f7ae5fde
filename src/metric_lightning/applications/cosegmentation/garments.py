"""Semi-synthetic pairs: garments of Fashion-MNIST pasted into photographs that come with packages."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn.functional import interpolate

from metric_lightning.applications.cosegmentation.pairs import PairDataset
from metric_lightning.data import (
    ArrayDataset,
    BatchStrategy,
    ClassSplit,
    FashionMNIST,
    LabelledDataset,
    MetricDataModule,
)
from metric_lightning.data.dataset import Subset
from metric_lightning.data.randomness import torch_random_restored
from metric_lightning.data.strategy import require_at_least
from metric_lightning.errors import UserError

PHOTOGRAPHS = {
    "train": ("astronaut", "brick", "chelsea", "gravel", "motorcycle_left", "rocket", "flower"),
    "validation": ("immunohistochemistry", "motorcycle_right"),
    "test": ("china", "coffee", "grass", "camera"),
}
"""Of scikit-image, and two of scikit-learn; no photograph is in two parts (motorcycle_right is motorcycle_left's stereo
partner: it validates only)."""

_INK = 40  # of 255: darker pixels of a garment's picture are its background


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
        self._turns = 4 if rotated_classes else 1
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
        turns = range(self._turns if part == "train" else 1)
        kinds = [(number, images[labels == number].rot90(turn, (2, 3))) for turn in turns for number in classes]
        pictures = [photograph(name, 2 * self.size) for name in PHOTOGRAPHS[part]]
        settings = (self.size, self.garment_size, self.distractors, self.coloured)
        pairs = PastedPairs(kinds, pictures, count, settings, self.own_class_names, fixed=part != "train")
        return Subset(pairs, torch.arange(count), self._number_of[pairs.labels], self.class_names)


class PastedPairs(PairDataset):
    """Pairs of pictures with garments pasted in; pair i shows kind i modulo their number.

    Args:
        kinds: of garments, each the number of its class and pictures (k, 1, h, w) uint8.
        photographs: (3, H, W) uint8 each, larger than `size`.
        count: pairs.
        settings: (size, (smallest, largest garment), distractors, coloured).
        class_names: of all classes.
        fixed: pair i is always the same; else it is drawn from torch's random numbers.
    """

    def __init__(
        self,
        kinds: list[tuple[int, Tensor]],
        photographs: list[Tensor],
        count: int,
        settings: tuple[int, tuple[int, int], int, bool],
        class_names: list[str],
        fixed: bool,
    ):
        self.size, self.garment_size, self.distractors, self.coloured = settings
        self.kinds, self.photographs, self.fixed = kinds, photographs, fixed
        labels = [kinds[place % len(kinds)][0] for place in range(count)]
        super().__init__(labels, class_names, (2, 3, self.size, self.size))

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        shared = index % len(self.kinds)
        if not self.fixed:
            return self._drawn(shared)
        with torch_random_restored() as random:
            random.manual_seed(index)
            return self._drawn(shared)

    def _drawn(self, shared: int) -> tuple[Tensor, Tensor]:
        others = [kind for kind in range(len(self.kinds)) if kind != shared]
        order = [others[place] for place in torch.randperm(len(others)).tolist()]
        pictures, masks = [], []
        for side in range(2):
            distracting = order[side * self.distractors : (side + 1) * self.distractors]
            picture, mask = self._picture(shared, distracting)
            pictures.append(picture)
            masks.append(mask)
        return torch.stack(pictures), torch.stack(masks)

    def _picture(self, shared: int, distracting: list[int]) -> tuple[Tensor, Tensor]:
        photo = self.photographs[_below(len(self.photographs))]
        top, left = (_below(extent - self.size + 1) for extent in photo.shape[1:])
        picture = photo[:, top : top + self.size, left : left + self.size].float()
        mask = torch.zeros(self.size, self.size, dtype=torch.bool)
        kinds = [shared, *distracting]
        for kind in (kinds[place] for place in torch.randperm(len(kinds)).tolist()):
            garment, shape = self._garment(kind)
            side = garment.shape[-1]
            row, column = self._place(mask if kind != shared else None, shape)
            window = (slice(row, row + side), slice(column, column + side))
            picture[:, window[0], window[1]] = torch.where(shape, garment, picture[:, window[0], window[1]])
            mask[window] = (mask[window] | shape) if kind == shared else (mask[window] & ~shape)
        return picture.round().to(torch.uint8), mask

    def _garment(self, kind: int) -> tuple[Tensor, Tensor]:
        """Return a garment (3, s, s) in a random colour, and where it is (s, s)."""
        pictures = self.kinds[kind][1]
        small, large = self.garment_size
        side = small + _below(large - small + 1)
        scaled = interpolate(pictures[_below(len(pictures))][None].float(), (side, side), mode="bilinear")[0]
        if torch.rand(()) < 0.5:
            scaled = scaled.flip(2)
        colour = 0.35 + 0.65 * torch.rand(3 if self.coloured else 1, 1, 1)
        # Bright garments in any colour; the least of their own light is kept so that dark ones aren't holes.
        return ((40 + scaled * 215 / 255) * colour).expand(3, -1, -1), scaled[0] > _INK

    def _place(self, taken: Tensor | None, shape: Tensor) -> tuple[int, int]:
        """Return a random corner; of several draws the one that hides least of the shared garment."""
        side = shape.shape[-1]
        places = [(_below(self.size - side + 1), _below(self.size - side + 1)) for _ in range(4)]
        if taken is None:
            return places[0]
        hidden = [int((taken[r : r + side, c : c + side] & shape).sum()) for r, c in places]
        return places[hidden.index(min(hidden))]


def photograph(name: str, least: int) -> Tensor:
    """Return a photograph of scikit-image or scikit-learn (3, H, W) uint8, its shorter side scaled to `least` pixels.

    Raises:
        UserError: scikit-image isn't installed.
    """
    found = _pixels(name)
    if found.ndim == 2:
        found = np.repeat(found[..., None], 3, axis=2)
    picture = torch.from_numpy(found[..., :3].copy()).permute(2, 0, 1).float()[None]
    factor = least / min(picture.shape[2:])
    shape = [max(least, round(extent * factor)) for extent in picture.shape[2:]]
    return interpolate(picture, shape, mode="bilinear", antialias=True)[0].round().clamp(0, 255).to(torch.uint8)


def _pixels(name: str) -> NDArray[np.uint8]:
    if name in ("china", "flower"):
        samples = load_sample_images()
        names = [Path(file).stem for file in samples.filenames]
        return np.asarray(samples.images[names.index(name)], dtype=np.uint8)
    try:
        import skimage.data
        import skimage.io
    except ImportError as error:
        raise UserError('these pairs need scikit-image: pip install -e ".[cosegmentation]"') from error
    if name.startswith("motorcycle"):
        # By its file: the function of that name wants the disparities too, which scikit-image may have to download.
        return np.asarray(skimage.io.imread(Path(skimage.data.__file__).parent / f"{name}.png"), dtype=np.uint8)
    return np.asarray(getattr(skimage.data, name)(), dtype=np.uint8)


def _below(bound: int) -> int:
    return int(torch.randint(bound, ()))

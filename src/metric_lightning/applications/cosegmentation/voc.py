"""Pairs of Pascal VOC's photographs that show a class in common, as in the paper."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import VOCSegmentation

from metric_lightning.applications.cosegmentation.pairs import PairDataset
from metric_lightning.data import BatchStrategy, ClassSplit, LabelledDataset, MetricDataModule
from metric_lightning.data.dataset import Subset
from metric_lightning.data.randomness import torch_random_restored
from metric_lightning.data.strategy import require_at_least
from metric_lightning.errors import DataNotFound, UserError

CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep "
    "sofa train tvmonitor"
).split()

_UNDECIDED = 255  # VOC's mark on outlines
_LEAST_SHARE = 0.01  # of a picture's pixels: a smaller object is not what the picture shows


class VOCPairs(MetricDataModule):
    """Pairs of Pascal VOC photographs with a class in common; the masks show all classes that both have.

    Pairs to train on and to validate with are of the "train" photographs that show no test class, test pairs of the
    "val" photographs; of `test_classes`, or, where none are given, of all classes, which are seen then. A tenth of
    the photographs of training validate. Training pairs are drawn anew each epoch, the others are always the same.
    Pixels that VOC leaves undecided count as background.

    Args:
        root: folder that holds `VOCdevkit/VOC2012`, as torchvision leaves it.
        year: of VOC.
        download: let torchvision download about 2 GB to `root` if it is not there.
        test_classes: classes never trained on, names or numbers; None: test on all classes, seen ones.
        pairs: training pairs an epoch.
        evaluation_pairs: validation pairs, and test pairs.
        size: (height, width) that pictures are scaled to; the paper has 512x512.
        batches: how training batches are drawn. None: `PlainBatches()`.
        eval_batch_size: pairs in a batch of the other loaders.
        num_workers: processes that load.
        seed: of batches and training pairs. None: the one given to `seed_everything`, else 0.

    Raises:
        DataNotFound: VOC is not there (from `setup`).
        UserError: no class has two photographs.
    """

    def __init__(
        self,
        root: str = "data",
        year: str = "2012",
        download: bool = False,
        test_classes: list[int | str] | None = None,
        pairs: int = 10000,
        evaluation_pairs: int = 1000,
        size: tuple[int, int] = (512, 512),
        batches: BatchStrategy | None = None,
        eval_batch_size: int = 4,
        num_workers: int = 4,
        seed: int | None = None,
    ):
        self.root, self.year, self.download, self.size = root, year, download, (size[0], size[1])
        self.pairs = require_at_least("pairs", pairs, 2)
        self.evaluation_pairs = require_at_least("evaluation_pairs", evaluation_pairs, 1)
        unseen = ClassSplit(0, 0, test_classes or []).classes(CLASSES).test
        super().__init__(
            class_names=CLASSES,
            input_shape=(2, 3, *self.size),
            batches=batches,
            split=ClassSplit([number for number in range(len(CLASSES)) if number not in unseen], 0, [*unseen]),
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )
        self._unseen = unseen

    def prepare_data(self) -> None:
        """Let torchvision download VOC, where that was asked for."""
        if self.download:
            VOCSegmentation(self.root, year=self.year, image_set="train", download=True)

    def setup(self, stage: str | None = None) -> None:
        """Look which photograph shows what, once."""
        if self._is_set_up:
            return
        seen = [number for number in range(len(CLASSES)) if number not in self._unseen]
        training = [one for one in self._photographs("train") if not set(one.classes) & set(self._unseen)]
        kept = [one for place, one in enumerate(training) if place % 10]
        self.train_set = self.train_eval_set = self._pairs_of(kept, seen, self.pairs, fixed=False)
        self.val_set = self._pairs_of(training[::10], seen, self.evaluation_pairs, fixed=True)
        self.test_set = self._pairs_of(
            self._photographs("val"), self._unseen or seen, self.evaluation_pairs, fixed=True
        )
        self.test_gallery_set = None
        self._is_set_up = True

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        """Return the pairs to train on and those to test with."""
        self.setup()
        return self.train_set, self.test_set

    def _photographs(self, part: str) -> list["Photograph"]:
        try:
            found = VOCSegmentation(self.root, year=self.year, image_set=part)
        except RuntimeError as error:
            raise DataNotFound(
                f"Pascal VOC {self.year} is not in {self.root} (VOCdevkit/VOC{self.year} in it); give its folder as "
                "root, or download: true"
            ) from error
        return [Photograph(Path(image), Path(mask)) for image, mask in zip(found.images, found.masks, strict=True)]

    def _pairs_of(
        self, photographs: list["Photograph"], classes: list[int], count: int, fixed: bool
    ) -> LabelledDataset:
        pairs = PhotographPairs(photographs, classes, count, self.size, fixed)
        return Subset(pairs, torch.arange(len(pairs)), self._number_of[pairs.labels], self.class_names)


class Photograph:
    """A photograph and its segmentation.

    Attributes:
        classes: numbers (0..19) of what covers at least a hundredth of it.
    """

    def __init__(self, image: Path, mask: Path):
        self.image, self.mask = image, mask
        with Image.open(mask) as opened:
            counts = np.bincount(np.asarray(opened).flatten(), minlength=256)
        self.classes = [number for number in range(20) if counts[number + 1] >= _LEAST_SHARE * counts.sum()]

    def read(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return picture (3, h, w) uint8 and each pixel's class (h, w): 0 background, number + 1, 255 undecided."""
        with Image.open(self.image) as image, Image.open(self.mask) as mask:
            picture = image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
            classes = mask.resize(size[::-1], Image.Resampling.NEAREST)
            return torch.from_numpy(np.array(picture)).permute(2, 0, 1), torch.from_numpy(np.array(classes))


class PhotographPairs(PairDataset):
    """Pairs of photographs that share a class; pair i shares class number i modulo their number.

    Args:
        photographs: to draw from.
        classes: to share; those with fewer than two photographs are left out.
        count: pairs.
        size: (height, width).
        fixed: pair i is always the same; else it is drawn from torch's random numbers.
    """

    def __init__(
        self, photographs: list[Photograph], classes: list[int], count: int, size: tuple[int, int], fixed: bool
    ):
        self.size, self.fixed = size, fixed
        of_class = {number: [one for one in photographs if number in one.classes] for number in classes}
        self.of_class = {number: found for number, found in of_class.items() if len(found) > 1}
        if not self.of_class:
            raise UserError("no class of these has two photographs to make a pair of; give other test_classes")
        numbers = sorted(self.of_class)
        super().__init__([numbers[place % len(numbers)] for place in range(count)], CLASSES, (2, 3, *size))

    def pair(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        if not self.fixed:
            return self._drawn(int(self.labels[index]))
        with torch_random_restored() as random:
            random.manual_seed(index)
            return self._drawn(int(self.labels[index]))

    def _drawn(self, shared: int) -> tuple[Tensor, Tensor, Tensor]:
        photographs = self.of_class[shared]
        chosen = [photographs[place] for place in torch.randperm(len(photographs))[:2].tolist()]
        read = [one.read(self.size) for one in chosen]
        pictures, classes = (torch.stack(part) for part in zip(*read, strict=True))
        common = torch.tensor([number + 1 for number in set(chosen[0].classes) & set(chosen[1].classes)])
        kinds = classes.long().masked_fill(classes == _UNDECIDED, -1)
        return pictures, torch.isin(kinds, common), kinds

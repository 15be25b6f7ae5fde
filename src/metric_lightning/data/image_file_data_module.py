"""What CUB200, Cars196, StanfordOnlineProducts and InShop share: class-disjoint retrieval from a folder of pictures."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

from torchvision.transforms.v2 import Transform

from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.image_files import Box, ImageFiles
from metric_lightning.data.randomness import generator
from metric_lightning.data.splits import ClassSplit, Split
from metric_lightning.data.strategy import BatchStrategy
from metric_lightning.errors import DataNotFound, UserError


class Listed(NamedTuple):
    """Pictures as a data set's own files list them.

    Attributes:
        paths: files.
        labels: class number of each.
        boxes: of each, in pixels; empty where there are none.
    """

    paths: list[Path]
    labels: list[int]
    boxes: list[Box]


class Index(NamedTuple):
    """What a data set's own files say.

    Attributes:
        class_names: of all classes.
        test_classes: numbers of those that test officially.
        images: all but the gallery's.
        gallery: where the test pictures are searched; None: among themselves.
    """

    class_names: list[str]
    test_classes: list[int]
    images: Listed
    gallery: Listed | None = None


class ImageFileDataModule(MetricDataModule, ABC):
    """Pictures of a folder that the user has downloaded, parted by class as its authors (or all papers) do.

    A subclass says where its files are (`title`, `folders`, `marker`, `source`) and reads them (`read`).

    Args:
        root: the folder of the files, or the one above it.
        validation_classes: how many of the official training classes validate instead (drawn at random), or which
            (numbers or names). 0: all train, as papers do; then the last checkpoint counts as the best.
        split: another split of all classes; None: the official one.
        split_seed: of the draw of validation classes.
        crop_boxes: cut pictures to the boxes that come with the data.
        size: pixels a side of an input.
        resize: pixels of the shorter side before the middle is cut out.
        batches: how training batches are drawn. None: `PlainBatches()`.
        augment: torchvision v2 transforms that each training image goes through, in order, as 8-bit tensor of the
            whole picture (RandomResizedCrop(224), say). What comes out at another size is scaled and cut as in
            evaluation.
        eval_batch_size: samples in a batch of the other loaders.
        num_workers: processes that decode pictures.
        seed: of batches and augmentation, not of the split. None: the one given to `seed_everything`, else 0.
        rotated_classes: train also on classes turned by 90, 180 and 270 degrees, as classes of their own.
        mirrored_classes: train also on all these classes with left and right changed over, as classes of their own.

    Raises:
        DataNotFound: the files are not there (from the constructor: they say which classes there are).
        UserError: there are no such classes, too few, or no boxes.
    """

    title: ClassVar[str]
    folders: ClassVar[list[str]]
    marker: ClassVar[list[str]]
    source: ClassVar[str]

    def __init__(
        self,
        root: str = "data",
        validation_classes: int | list[int | str] = 0,
        split: Split | None = None,
        split_seed: int = 0,
        crop_boxes: bool = False,
        size: int = 224,
        resize: int = 256,
        batches: BatchStrategy | None = None,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 128,
        num_workers: int = 4,
        seed: int | None = None,
        rotated_classes: bool = False,
        mirrored_classes: bool = False,
    ):
        self.root = self._find(Path(root).expanduser())
        self._index = self.read(self.root, crop_boxes)
        if crop_boxes and not self._index.images.boxes:
            raise UserError(f"{self.title} comes without boxes; leave crop_boxes out")
        self.resize = resize
        super().__init__(
            class_names=self._index.class_names,
            input_shape=(3, size, size),
            batches=batches,
            split=self._official(validation_classes, split_seed) if split is None else split,
            augment=augment,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            rotated_classes=rotated_classes,
            mirrored_classes=mirrored_classes,
        )

    @abstractmethod
    def read(self, root: Path, boxes: bool) -> Index:
        """Return what the files in `root` say, with boxes where asked for."""

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        return self._dataset(self._index.images), None

    def load_test_gallery(self) -> LabelledDataset | None:
        return None if self._index.gallery is None else self._dataset(self._index.gallery)

    def _dataset(self, listed: Listed) -> ImageFiles:
        size = self.input_shape[-1]
        return ImageFiles(
            listed.paths, listed.labels, self.own_class_names, size, self.resize, listed.boxes if listed.boxes else None
        )

    def _official(self, validation: int | list[int | str], seed: int) -> ClassSplit:
        test = set(self._index.test_classes)
        training = [number for number in range(len(self._index.class_names)) if number not in test]
        if isinstance(validation, int):
            if not 0 <= validation < len(training):
                raise UserError(
                    f"validation_classes is {validation}, but {self.title} has {len(training)} training classes here, "
                    "of which some must be left to train; ask for fewer"
                )
            drawn = generator(seed).permutation(len(training))[:validation]
            validation = [training[place] for place in drawn.tolist()]
        named = ClassSplit([], validation, []).classes(self._index.class_names).validation
        if set(named) & test:
            name = self._index.class_names[min(set(named) & test)]
            raise UserError(f"class {name!r} is an official test class of {self.title}; validate on training classes")
        return ClassSplit([number for number in training if number not in set(named)], [*named], [*sorted(test)])

    def _find(self, root: Path) -> Path:
        for folder in (root, *(root / name for name in self.folders)):
            if any((folder / marker).is_file() for marker in self.marker):
                return folder
        raise DataNotFound(
            f"{self.title} is not in {root}: download it from {self.source} and unpack it so that "
            f"{root / self.folders[0] / self.marker[0]} is there, or give its folder as `root`"
        )


def lines_of(path: Path) -> list[list[str]]:
    """Return the words of each line of a text file that is no empty one.

    Raises:
        UserError: there is no such file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); unpack the data again") from error
    return [line.split() for line in lines if line.strip()]

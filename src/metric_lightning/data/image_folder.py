"""A user's own pictures, a folder for each class."""

from pathlib import Path
from typing import Literal

from torchvision.transforms.v2 import Transform

from metric_lightning.data.folder_listing import list_folder
from metric_lightning.data.own_images import OwnImages
from metric_lightning.data.splits import Split
from metric_lightning.data.strategy import BatchStrategy


class ImageFolder(OwnImages):
    """Pictures below a folder, their classes named by the folders they lie in.

        photos/cats/1.jpg                     photos/train/cats/1.jpg
        photos/cats/2.png           or        photos/val/dogs/7.jpg
        photos/dogs/indoors/3.jpg             photos/test/birds/8.jpg

    On the right, the folders part the data: train is needed; without val, a tenth of train validates; with neither val
    nor test, a fifth of it tests; gallery, if any, is where test is searched. A class may be in one part only. On the
    left, `split` parts them. A class is its folder with all folders below. Files whose names don't end like a
    picture's are passed over, hidden ones too.

    Every file is looked at before training, and what can't be used is named at once. Pictures of any kind become 8-bit
    RGB, see `plain_picture`.

    Args:
        root: the folder.
        batches: how training batches are drawn. None: `PlainBatches()`.
        split: how the pictures are parted where folders don't. None: `SampleSplit()`, by sample; a `ClassSplit` keeps
            classes for validation and test that training never sees.
        augment: torchvision v2 transforms that each training picture goes through, in order, as 8-bit tensor of the
            whole picture; what comes out at another size is scaled and cut as in evaluation. None:
            `standard_augmentation`; []: none.
        preset: a backbone whose weights say how pictures are to be prepared (size, margin, mean, deviation,
            interpolation): "resnet50", "resnet50:IMAGENET1K_V1", "timm/NAME" (see `preset`). None: 224 pixels of 256,
            by ImageNet's mean and deviation. The next four go before it.
        size: pixels a side of an input.
        resize: pixels of the shorter side before the middle is cut out. None: in proportion to the size.
        mean: of each channel, on the scale 0..1.
        std: likewise.
        grey: one channel.
        cache_dir: a folder where decoded and scaled pictures are kept (see `DecodedCache`); None: each is decoded
            every time.
        on_error: "stop" before training where pictures can't be used, or "skip" them; all are named either way.
        eval_batch_size: samples in a batch of the other loaders.
        num_workers: processes that decode. None: one for each core, 8 at most, none for fewer than 500 pictures.
        seed: of batches and augmentation, not of the split. None: the one given to `seed_everything`, else 0.
        rotated_classes: train also on classes turned by 90, 180 and 270 degrees, as classes of their own.
        mirrored_classes: train also on all these classes with left and right changed over, as classes of their own.

    Raises:
        DataNotFound: there is no such folder.
        UserError: no pictures, no class folders, one class, pictures that can't be used (from `setup`), ...

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in range(20):
        ...         place = Path(folder, "dark" if number < 10 else "light")
        ...         place.mkdir(exist_ok=True)
        ...         Image.new("L", (9, 9), number * 12).save(place / f"{number}.png")
        ...     data = ImageFolder(folder, size=8)
        ...     data.setup()
        >>> data.class_names, len(data.train_set), len(data.val_set), len(data.test_set), data.input_shape
        (['dark', 'light'], 14, 2, 4, (3, 8, 8))
    """

    def __init__(
        self,
        root: str,
        batches: BatchStrategy | None = None,
        split: Split | None = None,
        augment: list[Transform] | None = None,
        preset: str | None = None,
        size: int | None = None,
        resize: int | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        grey: bool = False,
        cache_dir: str | None = None,
        on_error: Literal["stop", "skip"] = "stop",
        eval_batch_size: int = 128,
        num_workers: int | None = None,
        seed: int | None = None,
        rotated_classes: bool = False,
        mirrored_classes: bool = False,
    ):
        self.root = Path(root).expanduser()
        super().__init__(
            list_folder(self.root),
            batches=batches,
            split=split,
            augment=augment,
            preset=preset,
            size=size,
            resize=resize,
            mean=mean,
            std=std,
            grey=grey,
            cache_dir=cache_dir,
            on_error=on_error,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            rotated_classes=rotated_classes,
            mirrored_classes=mirrored_classes,
        )

"""A user's own pictures, listed in a table."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms.v2 import Transform

from metric_lightning.data.own_images import OwnImages
from metric_lightning.data.splits import Split
from metric_lightning.data.strategy import BatchStrategy
from metric_lightning.data.table_listing import Columns, list_table
from metric_lightning.errors import UserError


class ImageTable(OwnImages):
    r"""Pictures that a CSV or Parquet file lists: one a row, with its path, its label, and what else is known of it.

        path,kind,species,split,camera
        a/1.jpg,bird,robin,train,garden
        a/2.jpg,bird,wren,test,wood

    Classes are named by the label, in alphabetical order; with several label columns, coarse to fine, by all of them
    ("bird/robin"), and `class_levels` says which classes agree in each. Pictures that have several labels each
    ("sea|boat") have the class of their set of labels. Every file is looked at before training.

    Args:
        table: the file: .parquet (needs pyarrow), or text with columns parted by comma, semicolon or tab and their
            names in the first line.
        root: what paths are relative to. None: the table's folder.
        path_column: name of the column of paths.
        label_column: name of the column of labels; or several, coarse to fine.
        label_separator: what parts the labels of a picture in its one label column, "|" say, in any order; None: there
            is one. Losses and metrics take them by `LabelsByClass`; without it alike is what has the very same labels.
        split_column: names "train", "val", "test" or "gallery" of each picture (also training, validation, query, ...);
            None, or where the table has no column "split": `split` parts them.
        box_columns: four, of left, top, right and bottom of the box that a picture is cut to, in pixels of the picture
            as it is seen; a picture may have many rows then.
        group_column: pictures of one group (a scene, a patient) are never parted by a split by sample.
        camera_column: where a picture comes from, which evaluation takes into account (see `RetrievalMetrics`,
            skip_group).
        batches: and all that follow: see `ImageFolder`.
        split: see there.
        augment: see there.
        preset: see there.
        size: see there.
        resize: see there.
        mean: see there.
        std: see there.
        grey: see there.
        cache_dir: see there.
        on_error: see there.
        eval_batch_size: see there.
        num_workers: see there.
        seed: see there.
        rotated_classes: see there.
        mirrored_classes: see there.

    Raises:
        DataNotFound: there is no such table.
        UserError: it can't be read, lacks a column, a path or a label, names a picture twice, ...

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = [f"{number}.png,{'odd' if number % 2 else 'even'}" for number in range(20)]
        ...     for number in range(20):
        ...         Image.new("L", (9, 9), number * 12).save(Path(folder, f"{number}.png"))
        ...     _ = Path(folder, "all.csv").write_text("\n".join(["path,label", *rows]))
        ...     data = ImageTable(f"{folder}/all.csv", size=8)
        ...     data.setup()
        >>> data.class_names, len(data.train_set)
        (['even', 'odd'], 14)
    """

    def __init__(
        self,
        table: str,
        root: str | None = None,
        path_column: str = "path",
        label_column: str | list[str] = "label",
        split_column: str | None = "split",
        box_columns: list[str] | None = None,
        group_column: str | None = None,
        camera_column: str | None = None,
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
        label_separator: str | None = None,
    ):
        labels = [label_column] if isinstance(label_column, str) else label_column
        columns = Columns(path_column, labels, split_column, box_columns, group_column, camera_column, label_separator)
        self.table = Path(table).expanduser()
        self.root = self.table.parent if root is None else Path(root).expanduser()
        self._separator = label_separator
        listing, self._levels = list_table(self.table, self.root, columns)
        super().__init__(
            listing,
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

    @property
    def class_levels(self) -> Tensor:
        """Return (C, L): the number of each class at each level, coarse to fine, classes as in `class_names`.

        Classes i and j are of one kind at level k where their rows agree in the first k columns.

        Raises:
            UserError: classes are sets of labels, which have no levels.
        """
        if self._separator is not None:
            raise UserError("classes that are sets of labels (label_separator) have no levels; see class_labels")
        names = sorted({name[: level + 1] for name in self._levels for level in range(len(name))})
        number = {name: place for place, name in enumerate(names)}
        rows = [[number[name[: level + 1]] for level in range(len(name))] for name in self._levels]
        order = self._number_of.argsort()
        return torch.tensor(rows)[order]

    @property
    def class_labels(self) -> Tensor | None:
        """Return (C, L), classes as in `class_names`: `class_levels`; with `label_separator` which labels a class has,
        1 or 0, labels in alphabetical order. None where there are turned classes too, whose labels nobody knows.
        """
        if len(self._class_turns) > 1:
            return None
        if self._separator is None:
            return self.class_levels
        names = sorted({name for labels in self._levels for name in labels})
        rows = [[int(name in labels) for name in names] for labels in self._levels]
        return torch.tensor(rows)[self._number_of.argsort()]

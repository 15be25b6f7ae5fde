"""Splits that need more than labels: parts that the data come with, and pictures that must stay together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.splits import SampleSplit, Split, SplitClasses, SplitSamples, stratified_draw
from metric_lightning.errors import UserError


class GivenParts(Split):
    """Parts as the data come with them; a validation part that is missing is cut from the training part.

    Args:
        labels: (n,) of all samples.
        parts: of each, "train", "val", "test", or "gallery", whose classes count as tested.
        rest: how the training part is split where there is no "val"; it must leave no test part where there is
            "test". None: all train.

    Raises:
        UserError: no sample trains.

    Example:
        >>> split = GivenParts([0, 0, 1, 2], ["train", "train", "train", "test"])
        >>> split.classes("abc"), split.samples(torch.tensor([0, 0, 1, 2]), None, "abc").test
        (SplitClasses(train=[0, 1], validation=[], test=[2]), tensor([3]))
    """

    def __init__(self, labels: Sequence[int], parts: Sequence[str], rest: Split | None = None):
        self.labels = torch.as_tensor(labels)
        self.places = {
            part: torch.tensor([place for place, name in enumerate(parts) if name == part], dtype=torch.int64)
            for part in ("train", "val", "test", "gallery")
        }
        if len(self.places["train"]) == 0:
            raise UserError("no picture is in the training part; call a part of them train")
        self.rest = None if len(self.places["val"]) else rest

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        parts = self._parts(class_names)
        parts = parts._replace(test=torch.cat([parts.test, self.places["gallery"]]))
        train, validation, test = (sorted(set(self.labels[part].tolist())) for part in parts)
        return SplitClasses(train, validation, test)

    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        return self._parts(class_names)

    def _parts(self, class_names: Sequence[str]) -> SplitSamples:
        train, validation, test = self.places["train"], self.places["val"], self.places["test"]
        if self.rest is None:
            return SplitSamples(train, validation, test)
        # Classes that are only tested are none of `rest`'s business.
        trained = sorted(set(self.labels[train].tolist()))
        names = [class_names[label] for label in trained]
        number = torch.zeros(len(class_names), dtype=torch.int64)
        number[trained] = torch.arange(len(trained))
        cut = self.rest.samples(number[self.labels[train]], self.labels[test] if len(test) else None, names)
        if len(test):
            left = len(train) - len(cut.train) - len(cut.validation)
            if left:
                raise UserError(
                    f"the data come with a test part, but the split sets {left} more pictures apart for test; name "
                    "training and validation only (ClassSplit: test_classes: [])"
                )
            return SplitSamples(train[cut.train], train[cut.validation], test)
        return SplitSamples(train[cut.train], train[cut.validation], train[cut.test])


class GroupedSplit(Split):
    """By sample, but samples of one group (one scene, patient, or burst of pictures) are never parted.

    Groups are drawn, stratified by the class most of their samples have, until about the sizes asked for are reached:
    sizes count groups as if all were equally large.

    Args:
        groups: of each sample, any name.
        split: sizes and seed.

    Raises:
        UserError: too few groups (from `samples`).

    Example:
        >>> split = GroupedSplit("aabbccddee", SampleSplit(validation_size=0.2, test_size=0.2))
        >>> [sorted(part.tolist()) for part in split.samples(torch.zeros(10).long(), None, "x")]
        [[0, 1, 6, 7, 8, 9], [2, 3], [4, 5]]
    """

    def __init__(self, groups: Sequence[str], split: SampleSplit):
        names = sorted(set(groups))
        number = {name: place for place, name in enumerate(names)}
        self.group_of = torch.tensor([number[name] for name in groups], dtype=torch.int64)
        self.split = split

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        return self.split.classes(class_names)

    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        index = ClassIndex(self.group_of)
        members = torch.from_numpy(index.members).split(index.sizes.tolist())
        main = torch.stack([labels[group].mode().values for group in members])
        share = len(index.sizes) / max(len(labels), 1)
        sizes = [
            _in_groups(size, share)
            for size in (self.split.validation_size, 0.2 if self.split.test_size is None else self.split.test_size)
        ]
        test, rest = stratified_draw(main, sizes[1], self.split.seed)
        validation_size = round(sizes[0] * len(main)) if isinstance(sizes[0], float) else sizes[0]
        validation, train = stratified_draw(main[rest], validation_size, self.split.seed + 1)
        return SplitSamples(*(self._members(groups) for groups in (rest[train], rest[validation], test)))

    def _members(self, groups: Tensor) -> Tensor:
        return torch.isin(self.group_of, groups).nonzero().flatten()


def _in_groups(size: int | float, share: float) -> int | float:
    return size if isinstance(size, float) else round(size * share)

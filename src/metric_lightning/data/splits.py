"""Splits into training, validation and test parts: by sample, or by class."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.randomness import generator
from metric_lightning.data.strategy import require_seed
from metric_lightning.errors import UserError
from metric_lightning.parts import Part

_MOST_NAMES = 100  # in a message


class SplitClasses(NamedTuple):
    """Class numbers of each part, ascending; disjoint unless the split is by sample."""

    train: list[int]
    validation: list[int]
    test: list[int]


class SplitSamples(NamedTuple):
    """Sample numbers of each part, ascending; `test` counts in the test set if there is one."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Split(Part, ABC):
    """How a data module parts its samples; named in YAML under `data.split`.

    A split has a seed of its own, so that runs with other batches are compared on the same parts.
    """

    @abstractmethod
    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        """Return which classes each part may hold; needs no data.

        Raises:
            UserError: there are no such classes, or too few.
        """

    @abstractmethod
    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        """Return which samples each part holds.

        Args:
            labels: (n,) of all samples, but for those of a test set that comes with the data.
            test_labels: (m,) of that test set; None where the test part is to be cut from `labels`.
            class_names: of all classes.

        Raises:
            UserError: too few samples.
        """


class SampleSplit(Split):
    """Stratified by class: each part has its share of every class, as exactly as whole numbers
    allow.

    Every class keeps at least one sample for training.

    Args:
        validation_size: samples (int) or share of all (float below 1) taken from the training data.
        test_size: likewise, for data that come without a test set of their own; None: none is cut,
            or 0.2 where the data have no test set.
        seed: of the draw.

    Raises:
        ValueError: a negative size, or a share of 1 and more.
        UserError: too few samples for the sizes; `test_size` for data with their own test set (from
            `samples`).

    Example:
        >>> labels = torch.arange(40) % 4
        >>> parts = SampleSplit(validation_size=4, test_size=0.25).samples(labels, None, "abcd")
        >>> [len(part) for part in parts], labels[parts.test].bincount().tolist()
        ([26, 4, 10], [2, 2, 3, 3])
    """

    def __init__(
        self,
        validation_size: int | float = 0.1,
        test_size: int | float | None = None,
        seed: int = 0,
    ):
        self.validation_size = _size("validation_size", validation_size)
        self.test_size = None if test_size is None else _size("test_size", test_size)
        self.seed = require_seed(seed)

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        every = list(range(len(class_names)))
        return SplitClasses(every, every, every)

    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        every = torch.arange(len(labels))
        if test_labels is not None:
            if self.test_size is not None:
                raise UserError(
                    f"test_size is {self.test_size}, but these data have a test set of their own; leave it out"
                )
            test, rest = torch.arange(len(test_labels)), every
        else:
            size = 0.2 if self.test_size is None else self.test_size
            test, rest = stratified_draw(labels, size, self.seed)
        validation_size = self.validation_size
        if isinstance(validation_size, float):
            validation_size = round(validation_size * len(labels))
        # The test part doesn't depend on the size of the validation part: results stay comparable.
        validation, train = stratified_draw(labels[rest], validation_size, self.seed + 1)
        return SplitSamples(rest[train], rest[validation], test)


class ClassSplit(Split):
    """Class-disjoint: no class is in two parts, so that validation and test show what is learnt for
    unseen classes.

    All samples of a class go to its part; where the data have a test set of their own, the test
    classes' samples are taken from that, those of the training and validation classes from the
    training set.

    Args:
        train_classes: how many (drawn at random), or which: numbers or names.
        validation_classes: likewise; 0: no validation part.
        test_classes: likewise; None: all the rest.
        seed: of the draw.
        validation_size: instead of validation classes, samples (int) or share (float below 1) of the training
            classes' samples, stratified: training and validation share their classes then, and only the test classes
            are unseen.

    Raises:
        ValueError: a name where a list of them is due, a size below 0 or a share of 1 and more, or both validation
            classes and a size.
        UserError: too few classes, an unknown one, or one named twice (from `classes`).

    Example:
        >>> ClassSplit(train_classes=["a", "c"], test_classes=["d"]).classes("abcd")
        SplitClasses(train=[0, 2], validation=[], test=[3])
    """

    def __init__(
        self,
        train_classes: int | list[int | str],
        validation_classes: int | list[int | str] = 0,
        test_classes: int | list[int | str] | None = None,
        seed: int = 0,
        validation_size: int | float = 0,
    ):
        if validation_classes and validation_size:
            raise ValueError(
                f"validation_size={validation_size} is for splits without validation_classes; give one of the two"
            )
        for part in (train_classes, validation_classes, test_classes):
            if isinstance(part, str):
                raise ValueError(f"classes must be a number or a list, got {part!r}; write [{part}]")
        self.train_classes = train_classes
        self.validation_classes = validation_classes
        self.test_classes = test_classes
        self.seed = require_seed(seed)
        self.validation_size = _size("validation_size", validation_size)

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        wanted = (self.train_classes, self.validation_classes, self.test_classes)
        given = [_class_numbers(part, class_names) if isinstance(part, list) else [] for part in wanted]
        named = [number for numbers in given for number in numbers]
        taken = set(named)
        if len(taken) < len(named):
            twice = next(number for number in named if named.count(number) > 1)
            raise UserError(f"class {class_names[twice]!r} is named twice in a ClassSplit; name it once")
        order = generator(self.seed).permutation(len(class_names)).tolist()
        free = [number for number in order if number not in taken]
        parts = []
        for part, numbers in zip(wanted, given, strict=True):
            if isinstance(part, int):
                if not 0 <= part <= len(free):
                    raise UserError(
                        f"ClassSplit asks for {part} more classes, but {len(free)} of the {len(class_names)} "
                        "are left; ask for fewer"
                    )
                numbers, free = free[:part], free[part:]
            parts.append(sorted(free if part is None else numbers))
        train, validation, test = parts
        return SplitClasses(train, [*train] if self.validation_size else validation, test)

    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        parts = _samples_of(self.classes(class_names), labels, test_labels)
        if not self.validation_size:
            return parts
        validation, train = stratified_draw(labels[parts.train], self.validation_size, self.seed)
        return SplitSamples(parts.train[train], parts.train[validation], parts.test)


class ClassFold(Split):
    """k-fold over classes: `fold` is tested, the next fold validates, the others train;
    class-disjoint.

    Over all folds each class is tested once. Folds differ by at most one class.

    Args:
        fold: 0..n_folds-1.
        n_folds: at least 3; 2 where there is no validation part.
        validation: False trains on the validation fold too.
        seed: of the draw of the folds.

    Raises:
        ValueError: no such fold, or too few folds.
        UserError: more folds than classes (from `classes`).

    Example:
        >>> folds = [ClassFold(fold, n_folds=3).classes("abcdef").test for fold in range(3)]
        >>> [len(fold) for fold in folds], sorted(sum(folds, []))
        ([2, 2, 2], [0, 1, 2, 3, 4, 5])
    """

    def __init__(self, fold: int, n_folds: int = 4, validation: bool = True, seed: int = 0):
        least = 3 if validation else 2
        if n_folds < least:
            raise ValueError(f"n_folds must be at least {least} (validation={validation}), got {n_folds}")
        if not 0 <= fold < n_folds:
            raise ValueError(f"fold must be 0..{n_folds - 1}, got {fold}")
        self.fold = fold
        self.n_folds = n_folds
        self.validation = validation
        self.seed = require_seed(seed)

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        if len(class_names) < self.n_folds:
            raise UserError(f"n_folds is {self.n_folds}, but there are only {len(class_names)} classes")
        order = generator(self.seed).permutation(len(class_names))
        folds = [sorted(part.tolist()) for part in np.array_split(order, self.n_folds)]
        folds = folds[self.fold :] + folds[: self.fold]
        used = 2 if self.validation else 1
        validation = folds[1] if self.validation else []
        return SplitClasses(sorted(sum(folds[used:], [])), validation, folds[0])

    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        return _samples_of(self.classes(class_names), labels, test_labels)


def stratified_draw(labels: Tensor, size: int | float, seed: int) -> tuple[Tensor, Tensor]:
    """Return (drawn, rest): sample numbers, ascending; of every class its share is drawn.

    Class shares are size * (class size) / n rounded by largest remainder, ties by chance, so that
    exactly `size` samples are drawn; a class always keeps one.

    Args:
        labels: (n,) integers.
        size: samples, or share of all as a float below 1.
        seed: of the draw.

    Raises:
        UserError: not that many without taking the last sample of a class.

    Example:
        >>> drawn, rest = stratified_draw(torch.tensor([0, 0, 0, 0, 1, 1]), 3, seed=0)
        >>> len(drawn), len(rest)
        (3, 3)
    """
    index = ClassIndex(labels)
    count = round(size * len(index)) if isinstance(size, float) else size
    available = len(index) - len(index.sizes)
    if count > available:
        raise UserError(
            f"{count} samples are to be set apart, but of {len(index)} samples in {len(index.sizes)} classes "
            f"only {available} can be, since each class keeps one; ask for fewer"
        )
    random = generator(seed)
    share = index.sizes * count / max(len(index), 1)
    taken = np.floor(share).astype(np.int64)
    order = np.lexsort((random.random(len(taken)), taken - share))
    while (missing := count - int(taken.sum())) > 0:
        more = order[taken[order] < index.sizes[order] - 1][:missing]
        taken[more] += 1
    # A random order within each class, of which the first ones are drawn.
    shuffled = np.lexsort((random.random(len(index)), index.class_of))
    place = np.arange(len(index)) - np.repeat(index.starts, index.sizes)
    drawn = place < np.repeat(taken, index.sizes)
    return (
        torch.from_numpy(np.sort(shuffled[drawn])),
        torch.from_numpy(np.sort(shuffled[~drawn])),
    )


def _samples_of(classes: SplitClasses, labels: Tensor, test_labels: Tensor | None) -> SplitSamples:
    def chosen(of: Tensor, numbers: list[int]) -> Tensor:
        return torch.isin(of, torch.tensor(numbers, dtype=torch.int64)).nonzero().flatten()

    return SplitSamples(
        chosen(labels, classes.train),
        chosen(labels, classes.validation),
        chosen(labels if test_labels is None else test_labels, classes.test),
    )


def _class_numbers(wanted: list[int | str], class_names: Sequence[str]) -> list[int]:
    number_of = {name: number for number, name in reversed(list(enumerate(class_names)))}
    numbers = []
    for item in wanted:
        number = number_of.get(item, item) if isinstance(item, str) else item
        if not isinstance(number, int) or not 0 <= number < len(class_names):
            names = ", ".join(class_names[:_MOST_NAMES]) + ", ..." * (len(class_names) > _MOST_NAMES)
            raise UserError(f"there is no class {item!r}; the classes are {names}")
        numbers.append(number)
    return numbers


def _size(name: str, value: int | float) -> int | float:
    if value > 1 and float(value).is_integer():
        return int(value)  # a number from a parser that takes `int | float` for `float | int`, as typing's cache may
    if value < 0 or (isinstance(value, float) and value >= 1):
        raise ValueError(f"{name} must be a number of samples, or a share below 1 of them, got {value}")
    return value

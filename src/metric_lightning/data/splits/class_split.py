"""Splits by class: each class in one part."""

from collections.abc import Sequence

from torch import Tensor

from metric_lightning.data.randomness import generator
from metric_lightning.data.splits.base import Split, SplitClasses, SplitSamples
from metric_lightning.data.splits.classes import class_numbers, samples_of
from metric_lightning.data.splits.stratified import require_size, stratified_draw
from metric_lightning.data.strategy import require_seed
from metric_lightning.errors import UserError


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
        self.validation_size = require_size("validation_size", validation_size)

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        wanted = (self.train_classes, self.validation_classes, self.test_classes)
        given = [class_numbers(part, class_names) if isinstance(part, list) else [] for part in wanted]
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
        parts = samples_of(self.classes(class_names), labels, test_labels)
        if not self.validation_size:
            return parts
        validation, train = stratified_draw(labels[parts.train], self.validation_size, self.seed)
        return SplitSamples(parts.train[train], parts.train[validation], parts.test)

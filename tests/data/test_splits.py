"""Splits: disjoint, exact in size, stratified, seeded."""

import pytest
import torch

from metric_lightning.data import ClassFold, ClassSplit, SampleSplit, stratified_draw
from metric_lightning.errors import UserError
from metric_lightning.parts import describe

NAMES = ["a", "b", "c", "d", "e", "f"]
LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 15 + [3] * 3 + [4] * 2 + [5])[
    torch.randperm(101, generator=torch.Generator().manual_seed(1))
]


@pytest.mark.parametrize("size", [0, 1, 7, 20, 50, 94, 95, 0.1, 0.3])
def test_a_stratified_draw_is_exact_disjoint_and_proportional(size):
    drawn, rest = stratified_draw(LABELS, size, seed=0)
    count = size if isinstance(size, int) else round(size * 101)
    assert len(drawn) == count
    assert sorted([*drawn.tolist(), *rest.tolist()]) == list(range(101))
    assert drawn.tolist() == sorted(drawn.tolist())
    sizes = LABELS.bincount()
    taken = LABELS[drawn].bincount(minlength=6)
    assert (taken < sizes).all()
    if count <= 50:
        assert ((taken - sizes * count / 101).abs() < 1).all()


def test_a_stratified_draw_rounds_by_largest_remainder():
    # Shares are 1.2 and 1.8, whatever the seed.
    for seed in range(5):
        drawn, _ = stratified_draw(torch.tensor([0] * 8 + [1] * 12), 3, seed)
        assert [int((drawn < 8).sum()), len(drawn)] == [1, 3]


def test_a_stratified_draw_is_seeded():
    first = stratified_draw(LABELS, 20, seed=0)[0]
    assert torch.equal(stratified_draw(LABELS, 20, seed=0)[0], first)
    assert not torch.equal(stratified_draw(LABELS, 20, seed=1)[0], first)


def test_a_stratified_draw_of_too_many_is_one_sentence():
    with pytest.raises(UserError, match="96 samples .* 101 samples in 6 classes only 95 can be"):
        stratified_draw(LABELS, 96, seed=0)


def test_sample_split_parts_everything_once():
    train, validation, test = SampleSplit(10, 20).samples(LABELS, None, NAMES)
    assert [len(train), len(validation), len(test)] == [71, 10, 20]
    assert sorted(torch.cat([train, validation, test]).tolist()) == list(range(101))
    assert LABELS[train].unique().tolist() == [0, 1, 2, 3, 4, 5]


def test_the_test_part_does_not_depend_on_the_validation_part():
    some = SampleSplit(10, 20).samples(LABELS, None, NAMES)
    none = SampleSplit(0, 20).samples(LABELS, None, NAMES)
    assert torch.equal(some.test, none.test)
    assert len(none.validation) == 0 and len(none.train) == 81


def test_sample_split_leaves_a_given_test_set_whole():
    train, validation, test = SampleSplit(0.1).samples(LABELS, torch.zeros(8), NAMES)
    assert [len(train), len(validation), len(test)] == [91, 10, 8]
    with pytest.raises(UserError, match="test_size is 5, but these data have a test set"):
        SampleSplit(0.1, test_size=5).samples(LABELS, torch.zeros(8), NAMES)


def test_class_split_is_disjoint_and_takes_all_samples():
    split = ClassSplit(train_classes=3, validation_classes=1)
    classes = split.classes(NAMES)
    assert [len(part) for part in classes] == [3, 1, 2]
    assert sorted(sum(classes, [])) == list(range(6))
    for part, numbers in zip(split.samples(LABELS, None, NAMES), classes, strict=True):
        expected = [i for i in range(101) if int(LABELS[i]) in numbers]
        assert part.tolist() == expected
    assert ClassSplit(3, 1, seed=1).classes(NAMES) != classes == ClassSplit(3, 1).classes(NAMES)


def test_class_split_takes_test_classes_from_the_given_test_set():
    split = ClassSplit(train_classes=["a", "b"], test_classes=["f"])
    test_labels = torch.tensor([5, 0, 5, 1])
    train, validation, test = split.samples(LABELS, test_labels, NAMES)
    assert set(LABELS[train].tolist()) == {0, 1} and len(validation) == 0
    assert test.tolist() == [0, 2]


def test_class_split_takes_names_numbers_and_counts_together():
    classes = ClassSplit(train_classes=["f", 0], validation_classes=2, test_classes=["b"]).classes(NAMES)
    assert classes.train == [0, 5] and classes.test == [1]
    assert len(classes.validation) == 2 and set(classes.validation) <= {2, 3, 4}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (ClassSplit(7), "asks for 7 more classes, but 6 of the 6 are left"),
        (ClassSplit(4, 3), "asks for 3 more classes, but 2 of the 6"),
        (ClassSplit(-1), "asks for -1"),
        (ClassSplit(["a", "x"]), "no class 'x'; the classes are a, b, c, d, e, f"),
        (ClassSplit([9]), "no class 9"),
        (ClassSplit(["a"], ["a"]), "'a' is named twice"),
        (ClassFold(0, n_folds=7), "n_folds is 7, but there are only 6 classes"),
    ],
)
def test_impossible_classes_are_one_sentence(split, message):
    with pytest.raises(UserError, match=message):
        split.classes(NAMES)


@pytest.mark.parametrize("validation", [True, False])
def test_class_folds_test_each_class_once(validation):
    folds = [ClassFold(fold, n_folds=4, validation=validation) for fold in range(4)]
    parts = [fold.classes(NAMES) for fold in folds]
    assert sorted(number for part in parts for number in part.test) == list(range(6))
    for part in parts:
        assert sorted(sum(part, [])) == list(range(6))
        assert bool(part.validation) is validation
    train, validated, test = folds[1].samples(LABELS, None, NAMES)
    assert sorted(torch.cat([train, validated, test]).tolist()) == list(range(101))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SampleSplit(-1), "validation_size must be .* got -1"),
        (lambda: SampleSplit(0.1, 1.0), "test_size must be .* got 1.0"),
        (lambda: SampleSplit(seed=-1), "seed must be 0..2"),
        (lambda: ClassSplit("ant"), r"a number or a list, got 'ant'; write \[ant\]"),
        (lambda: ClassFold(4, n_folds=4), "fold must be 0..3, got 4"),
        (lambda: ClassFold(0, n_folds=2), "n_folds must be at least 3"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_splits_are_parts():
    described = describe(ClassSplit(["a", 0], seed=3))
    assert described["init_args"] == {"train_classes": ["a", 0], "seed": 3}


def test_a_class_split_can_validate_on_samples_of_its_training_classes():
    split = ClassSplit(["a", "c"], test_classes=["b"], validation_size=0.2)
    assert split.classes(NAMES) == ([0, 2], [0, 2], [1])
    train, validation, test = split.samples(LABELS, None, NAMES)
    assert LABELS[test].unique().tolist() == [1] and len(test) == 30
    assert LABELS[validation].bincount().tolist() == [10, 0, 3] and LABELS[train].bincount().tolist() == [40, 0, 12]
    assert not {*train.tolist()} & {*validation.tolist()}
    with pytest.raises(ValueError, match="validation_size=3 is for splits without validation_classes"):
        ClassSplit(2, 1, validation_size=3)
    with pytest.raises(ValueError, match="validation_size must be a number of samples, or a share below 1"):
        ClassSplit(2, validation_size=1.0)


def test_a_whole_number_is_a_number_of_samples_whatever_its_type():
    """A parser may hand over 1000 as 1000.0: `int | float` and `float | int` are the same to Python's typing cache."""
    assert SampleSplit(validation_size=2.0, test_size=3.0).test_size == 3
    with pytest.raises(ValueError, match="share below 1"):
        SampleSplit(test_size=1.5)

"""Turned classes: each image four times, labels and names in step, augmentation before the turn, training only."""

import pytest
import torch
from torchvision.transforms import v2

from metric_lightning.data import ArrayDataset, ClassSplit, Draw, MetricDataModule, RotatedClasses, SampleSplit
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.rotated_classes import turns_of
from metric_lightning.data.stroke_dataset import StrokeDataset
from metric_lightning.data.two_view_dataset import TwoViewDataset
from metric_lightning.errors import UserError

LABELS = torch.tensor([0, 1, 1, 2, 0])


class Squares(MetricDataModule):
    def __init__(self, split, rotated_classes, mirrored_classes=False):
        super().__init__(
            list("abcdefghij"),
            (1, 3, 3),
            split=split,
            rotated_classes=rotated_classes,
            mirrored_classes=mirrored_classes,
        )

    def load(self):
        images = torch.arange(200).byte()[:, None, None, None].expand(-1, 1, 3, 3)
        return ArrayDataset(images, torch.arange(200) % 10, self.own_class_names), None


class Vectors(LabelledDataset):
    def __getitem__(self, index):
        return torch.zeros(5), int(self.labels[index])


@pytest.fixture
def images():
    return torch.randint(256, (5, 3, 4, 4), dtype=torch.uint8)


def test_every_image_is_there_in_each_direction(images):
    turned = RotatedClasses(ArrayDataset(images, LABELS, std=1 / 255))
    assert len(turned) == 20 and len(turned.class_names) == 12
    batch = turned.__getitems__([19, 0, 7, 12, 7])
    for index, image, label in zip(batch.indices.tolist(), batch.inputs, batch.labels.tolist(), strict=True):
        quarter, place = index // 5, index % 5
        expected = images[place].float()
        for _ in range(quarter):
            expected = expected.transpose(1, 2).flip(1)  # a quarter anticlockwise
        torch.testing.assert_close(image, expected)
        assert label == LABELS[place] + 3 * quarter
        single, single_label = turned[index]
        assert torch.equal(single, image) and single_label == label
    assert turned.__getitems__([]).labels.tolist() == []


def test_mirrored_images_come_behind_in_each_direction(images):
    turned = RotatedClasses(ArrayDataset(images, LABELS, ["a", "b", "c"], std=1 / 255), turns_of(True, True))
    assert len(turned) == 40 and turned.class_names[12:16] == [
        "a mirrored", "b mirrored", "c mirrored", "a mirrored turned 90"
    ]  # fmt: skip
    for index in (0, 21, 34, 39):
        turn, place = divmod(index, 5)
        expected = images[place].float().flip(2) if turn >= 4 else images[place].float()
        for _ in range(turn % 4):
            expected = expected.transpose(1, 2).flip(1)
        assert torch.equal(turned[index][0], expected) and turned[index][1] == LABELS[place] + 3 * turn
    assert len({image.numpy().tobytes() for image in turned.__getitems__(list(range(40))).inputs}) == 40


def test_strokes_are_mirrored_as_their_picture_is():
    drawing = [torch.tensor([[10.0, 20.0], [80.0, 25.0]]), torch.tensor([[30.0, 90.0], [60.0, 60.0]])]
    other = [torch.stack([105 - stroke[:, 0], stroke[:, 1]], 1) for stroke in drawing]
    view = StrokeDataset([drawing], [0], ["a"])
    expected = StrokeDataset([other], [0], ["a"])[0][0]
    two = RotatedClasses(TwoViewDataset(view, view), turns_of(False, True))
    for found in two.__getitems__([1]).inputs:
        torch.testing.assert_close(found.steps[0], expected)
    assert torch.equal(two.__getitems__([0]).inputs.first.steps[0], view[0][0])


def test_augmentation_comes_before_the_turn_and_is_seeded_by_place(images):
    data = ArrayDataset(images, LABELS, std=1 / 255)
    transforms = [v2.RandomAffine(degrees=40)]
    indices = Draw([6, 17, 3], seed=5, first=9)
    found = RotatedClasses(data).augmented(transforms).__getitems__(indices).inputs
    plain = data.augmented(transforms).__getitems__(Draw([1, 2, 3], seed=5, first=9)).inputs
    expected = torch.stack([image.rot90(k, (1, 2)) for image, k in zip(plain, (1, 3, 0), strict=True)])
    assert torch.equal(found, expected) and not torch.equal(found, RotatedClasses(data).__getitems__(indices).inputs)


@pytest.mark.parametrize("split", [SampleSplit(), ClassSplit([3, 5, 8], [1], [2, 4])])
def test_only_the_training_part_of_a_module_has_more_classes(split):
    plain, turned = Squares(split, False), Squares(split, True)
    for data in (plain, turned):
        data.setup()
    assert turned.num_classes == 4 * plain.num_classes and len(turned.train_set) == 4 * len(plain.train_set)
    assert sorted(turned.train_set.labels.unique().tolist()) == list(range(turned.num_classes))
    for part in ("val_set", "test_set"):
        one, other = getattr(plain, part), getattr(turned, part)
        names = [[part.class_names[label] for label in part.labels.tolist()] for part in (one, other)]
        assert names[0] == names[1] and len(one) == len(other)
    names = [turned.class_names[label] for label in turned.train_set.labels.tolist()]
    size = len(plain.train_set)
    assert names[3 * size :] == [f"{name} turned 270" for name in names[:size]]


@pytest.mark.parametrize(("rotated", "copies"), [(False, 2), (True, 8)])
def test_a_module_with_mirrored_classes(rotated, copies):
    plain, data = Squares(SampleSplit(), False), Squares(SampleSplit(), rotated, mirrored_classes=True)
    for module in (plain, data):
        module.setup()
    assert data.num_classes == copies * plain.num_classes and len(data.train_set) == copies * len(plain.train_set)
    assert len(data.val_set) == len(plain.val_set) and data.class_names[-10] == data.class_names[0] + (
        " mirrored turned 270" if rotated else " mirrored"
    )


def test_images_that_are_not_square_are_refused():
    wide = torch.arange(12).reshape(2, 1, 2, 3).byte()
    mirrored = RotatedClasses(ArrayDataset(wide, [0, 1], std=1 / 255), turns_of(False, True))  # these can be mirrored
    assert torch.equal(mirrored.__getitems__([0, 3]).inputs, torch.stack([wide[0], wide[1].flip(2)]).float())
    with pytest.raises(UserError, match=r"mirrors images, but these inputs have the shape \(5,\)"):
        RotatedClasses(Vectors([0, 1], ["a", "b"], (5,)), turns_of(False, True))
    with pytest.raises(UserError, match=r"square images, but these have the shape \(1, 2, 3\)"):
        RotatedClasses(ArrayDataset(torch.zeros(2, 1, 2, 3).byte(), [0, 1]))

"""Labelled data sets: a batch at a time is one at a time; augmentation depends on the draw alone."""

import pickle

import pytest
import torch
from torch.utils.data import default_collate
from torchvision.transforms import v2

from metric_lightning.data import ArrayDataset, Batch, Draw, LabelledDataset, Subset
from metric_lightning.errors import UserError


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (7, 3, 4, 5), dtype=torch.uint8)


@pytest.fixture
def data(images) -> ArrayDataset:
    return ArrayDataset(images, [0, 1, 2, 0, 1, 2, 0], ["a", "b", "c"], mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7])


class Noise(LabelledDataset):
    """Random inputs, without `__getitems__` of its own."""

    def __init__(self, size: int):
        super().__init__(torch.zeros(size, dtype=torch.int64), ["only"], (2,))

    def __getitem__(self, index):
        return torch.rand(2) + index, 0


def assert_same(left: Batch, right: Batch) -> None:
    assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_a_batch_is_its_samples_to_the_bit(data):
    indices = [6, 0, 3, 3]
    batch = data.__getitems__(indices)
    inputs, labels = default_collate([data[i] for i in indices])
    assert_same(batch, Batch(inputs, labels, torch.tensor(indices)))
    assert batch.labels.dtype == batch.indices.dtype == torch.int64


def test_values_are_normalised_by_channel(data, images):
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7])
    expected = (images.double() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(data.__getitems__(list(range(7))).inputs, expected.float())


def test_a_subset_keeps_labels_and_counts_its_own_positions(data):
    part = data.subset([5, 1, 6])
    assert part.labels.tolist() == [2, 1, 0] and len(part) == 3
    assert part.class_names == data.class_names and part.input_shape == (3, 4, 5)
    batch = part.__getitems__([2, 0])
    assert_same(batch, data.__getitems__([6, 5])._replace(indices=torch.tensor([2, 0])))
    assert torch.equal(part[1][0], data[1][0]) and part[1][1] == 1
    mask = torch.arange(7) % 3 == 1
    assert data.subset(mask).labels.tolist() == data.labels[mask].tolist()
    deeper = part.subset(torch.tensor([2]))
    assert_same(deeper.__getitems__([0]), data.__getitems__([6])._replace(indices=torch.tensor([0])))


def test_a_subset_may_number_classes_otherwise(data):
    part = Subset(data, [5, 1], torch.tensor([0, 1]), ["c", "b"])
    assert part.__getitems__([0, 1]).labels.tolist() == [0, 1]
    assert part[0][1] == 0


def test_an_index_outside_is_refused(data):
    with pytest.raises(IndexError, match=r"indices must be 0..6, got 2..7"):
        data.subset([2, 7])


def test_an_empty_batch_and_an_empty_subset(data):
    assert data.__getitems__([]).inputs.shape == (0, 3, 4, 5)
    assert len(data.subset([])) == 0
    augmented = data.augmented([v2.RandomHorizontalFlip()])
    assert augmented.__getitems__(Draw([], seed=1)).inputs.shape == (0, 3, 4, 5)


def test_augmentation_depends_on_the_draw_alone(data):
    flips = data.augmented([v2.RandomAffine(90)])
    draw = Draw([3] * 6, seed=1, first=10)
    batch = flips.__getitems__(draw)
    torch.rand(100)
    assert_same(flips.__getitems__(draw), batch)
    # Each place has its own random numbers, also for one and the same image.
    assert len({tuple(row.flatten().tolist()) for row in batch.inputs}) > 1
    # The same places in another cut of the epoch.
    assert_same(flips.__getitems__(Draw([3] * 2, seed=1, first=14)), Batch(*(x[4:] for x in batch)))
    other = flips.__getitems__(Draw([3] * 6, seed=2, first=10))
    assert not torch.equal(other.inputs, batch.inputs)


def test_augmentation_leaves_torch_random_numbers_alone(data):
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    data.augmented([v2.RandomHorizontalFlip()]).__getitems__(Draw([0, 1], seed=1))
    assert torch.equal(torch.rand(3), expected)


def test_augmentation_changes_neither_the_images_nor_the_data_set_it_came_from(data, images):
    before = images.clone()
    erased = data.augmented([v2.RandomErasing(p=1, inplace=True)])
    plain = data.__getitems__([0])
    assert not torch.equal(erased.__getitems__([0]).inputs, plain.inputs)
    assert torch.equal(images, before)
    assert_same(data.__getitems__([0]), plain)


def test_augmentation_of_a_subset(data):
    flips = [v2.RandomHorizontalFlip(p=1)]
    part = data.subset([4]).augmented(flips)
    assert_same(
        part.__getitems__([0]),
        data.augmented(flips).__getitems__([4])._replace(indices=torch.tensor([0])),
    )


def test_a_transform_may_scale_to_floats_itself(data):
    scaled = data.augmented([v2.ToDtype(torch.float32, scale=True)])
    torch.testing.assert_close(scaled.__getitems__([1, 2]).inputs, data.__getitems__([1, 2]).inputs)


def test_a_transform_that_spoils_the_shape_or_type_is_one_sentence(data):
    with pytest.raises(UserError, match=r"shape \(3, 4, 5\) into \(3, 2, 2\).*Resize"):
        data.augmented([v2.CenterCrop(2)]).__getitems__([0])
    with pytest.raises(UserError, match="8-bit or floating-point"):
        data.augmented([v2.ToDtype(torch.int32)]).__getitems__([0])


def test_random_inputs_of_a_users_own_data_set_are_seeded_by_the_draw():
    draw = Draw([1, 0], seed=3)
    batch = Noise(2).__getitems__(draw)
    assert_same(Noise(2).__getitems__(draw), batch)
    assert batch.inputs.shape == (2, 2) and batch.indices.tolist() == [1, 0]
    with pytest.raises(UserError, match="Noise has no augmentation; derive it from AugmentableDataset"):
        Noise(2).augmented([v2.RandomHorizontalFlip()])


def test_a_draw_survives_the_way_to_a_worker():
    draw = pickle.loads(pickle.dumps(Draw([2, 1], seed=3, first=4)))
    assert isinstance(draw, Draw) and (draw, draw.seed, draw.first) == ([2, 1], 3, 4)


def test_fingerprint_tells_data_apart(data, images):
    same = ArrayDataset(images.clone(), data.labels, data.class_names, [0.1, 0.2, 0.3], 0.6)
    assert data.fingerprint() == data.fingerprint() != same.fingerprint()
    assert data.subset(range(7)).fingerprint() == data.fingerprint()
    relabelled = Subset(data, range(7), 2 - data.labels)
    changed = images.clone()
    changed[3, 0, 0, 0] ^= 1
    others = [
        relabelled,
        data.subset(range(6)),
        ArrayDataset(changed, data.labels, data.class_names, [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]),
    ]
    assert data.fingerprint() not in [other.fingerprint() for other in others]
    assert Noise(2).fingerprint() == Noise(2).fingerprint()
    assert data.subset([]).fingerprint()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 4, 4).byte(), [0, 1]), r"images must be \(n, C, H, W\) uint8"),
        ((torch.zeros(2, 1, 4, 4), [0, 1]), "uint8, got torch.float32"),
        ((torch.zeros(2, 1, 4, 4).byte(), [0]), "as many as images, got 1 for 2"),
        ((torch.zeros(2, 1, 4, 4).byte(), [0, 1], ["a"]), "labels must be 0..0 .* got 0..1"),
        ((torch.zeros(2, 1, 4, 4).byte(), [0, -1], ["a"]), "got -1..0"),
        ((torch.zeros(2, 1, 4, 4).byte(), [0.0, 1.5]), "one-dimensional integers"),
        ((torch.zeros(2, 1, 4, 4).byte(), [0, 1], None, 0.5, 0.0), "std must be above 0"),
        ((torch.zeros(2, 1, 4, 4).byte(), [0, 1], None, [0.5, 0.5]), "mean must be one number"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ArrayDataset(*arguments)

"""Data modules: parts, class numbers, loaders over ranks, seeds, and what goes wrong."""

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from torchvision.transforms import v2

from metric_lightning.data import (
    ArrayDataset,
    BalancedBatches,
    ClassSplit,
    Digits,
    MetricDataModule,
    MNIST5k,
    PairBatches,
    PlainBatches,
    SampleSplit,
    Split,
)
from metric_lightning.errors import UserError

NAMES = ["ant", "bee", "cat", "dog", "eel"]


class Animals(MetricDataModule):
    """Another project's data module: image i is filled with the number i."""

    def __init__(
        self,
        batches=None,
        split: Split | None = None,
        augment=None,
        labels=None,
        test=False,
        **options,
    ):
        super().__init__(NAMES, (1, 2, 2), batches, split, augment, **options)
        self.given_labels = torch.arange(100) % 5 if labels is None else labels
        self.has_test = test
        self.loads = 0

    def load(self):
        self.loads += 1
        images = torch.arange(100).byte()[:, None, None, None].expand(-1, 1, 2, 2)
        images = images[: len(self.given_labels)]
        data = ArrayDataset(images, self.given_labels, NAMES, std=1 / 255)
        return data, data.subset(range(50)) if self.has_test else None


class FakeTrainer:
    overfit_batches = 0.0

    def __init__(self, global_rank: int, world_size: int):
        self.global_rank = global_rank
        self.world_size = world_size


def ready(data: MetricDataModule) -> MetricDataModule:
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    return data


def images_of(dataset) -> list[int]:
    return dataset.__getitems__(list(range(len(dataset)))).inputs[:, 0, 0, 0].round().int().tolist()


def test_parts_are_disjoint_and_loaded_once():
    data = ready(Animals())
    parts = [images_of(part) for part in (data.train_set, data.val_set, data.test_set)]
    assert sorted(sum(parts, [])) == list(range(100))
    assert [len(part) for part in parts] == [70, 10, 20]
    assert data.loads == 1


def test_the_split_does_not_depend_on_the_batch_seed():
    one, other = ready(Animals(seed=1)), ready(Animals(seed=2))
    assert images_of(one.test_set) == images_of(other.test_set)
    assert next(iter(one.train_dataloader())).indices.tolist() != (
        next(iter(other.train_dataloader())).indices.tolist()
    )


def test_the_seed_is_that_of_seed_everything_unless_given(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    assert (Animals().seed, Animals(seed=3).seed) == (7, 3)
    monkeypatch.delenv("PL_GLOBAL_SEED")
    assert Animals().seed == 0


def test_classes_of_a_disjoint_split_are_numbered_training_first():
    split = ClassSplit(train_classes=["dog", "bee"], validation_classes=["eel"])
    data = Animals(split=split)
    assert data.num_classes == 2
    assert data.class_names == ["bee", "dog", "ant", "cat", "eel"]
    ready(data)
    for part, names in (
        (data.train_set, {"bee", "dog"}),
        (data.val_set, {"eel"}),
        (data.test_set, {"ant", "cat"}),
    ):
        assert {part.class_names[label] for label in part.labels.tolist()} == names
        for image, label in zip(images_of(part), part.labels.tolist(), strict=True):
            assert NAMES[image % 5] == part.class_names[label]
    assert sorted(data.train_set.labels.unique().tolist()) == [0, 1]


def test_a_test_set_that_comes_with_the_data_is_used():
    data = ready(Animals(test=True))
    assert images_of(data.test_set) == list(range(50))
    split = ClassSplit(["ant", "bee"], 0, ["cat"])
    data = ready(Animals(split=split, test=True))
    assert images_of(data.test_set) == list(range(2, 50, 5))
    assert data.val_dataloader() == []


def test_loaders_over_two_ranks_hold_every_sample_once():
    loaders = ["val_dataloader", "test_dataloader", "predict_dataloader", "gallery_dataloader"]
    data = ready(Animals(PlainBatches(8), eval_batch_size=7))
    for name in loaders:
        seen, lengths = [], []
        for rank in range(2):
            data.trainer = FakeTrainer(rank, 2)
            batches = list(getattr(data, name)())
            seen += torch.cat([batch.indices for batch in batches]).tolist()
            lengths.append(len(batches))
        assert len(set(lengths)) == 1
        part = {"v": data.val_set, "g": data.train_eval_set}.get(name[0], data.test_set)
        assert sorted(seen) == list(range(len(part)))
    train = []
    for rank in range(2):
        data.trainer = FakeTrainer(rank, 2)
        train.append([batch.indices.tolist() for batch in data.train_dataloader()])
    assert sorted(sum(sum(train, []), [])) == list(range(70))


def test_only_training_is_augmented():
    data = ready(Animals(augment=[v2.RandomInvert(p=1)]))
    batch = next(iter(data.train_dataloader()))
    plain = data.train_eval_set.__getitems__(batch.indices.tolist())
    torch.testing.assert_close(batch.inputs, 255 - plain.inputs)
    assert images_of(data.train_eval_set)[:3] != images_of(data.train_set)[:3]
    gallery = torch.cat([batch.inputs for batch in data.gallery_dataloader()])
    everything = list(range(len(data.train_eval_set)))
    assert torch.equal(gallery, data.train_eval_set.__getitems__(everything).inputs)
    assert max(images_of(data.test_set)) < 100


def test_augmentation_is_new_each_epoch_and_the_same_for_a_seed():
    def two_epochs(seed: int) -> list[torch.Tensor]:
        noise = [v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise()]
        data = ready(Animals(PlainBatches(70), augment=noise, seed=seed))
        inputs = []
        for batch in [*data.train_dataloader(), *data.train_dataloader()]:
            inputs.append(batch.inputs[batch.indices.argsort()])
        loader = data.train_dataloader()
        loader.set_epoch(1)
        batch = next(iter(loader))
        return [*inputs, batch.inputs[batch.indices.argsort()]]

    first, again, next_epoch = two_epochs(seed=1)
    assert torch.equal(first, again) and not torch.equal(first, next_epoch)
    assert torch.equal(two_epochs(seed=1)[2], next_epoch)
    assert not torch.equal(two_epochs(seed=2)[0], first)


def test_one_class_of_training_data_is_one_sentence():
    with pytest.raises(UserError, match="training needs samples of at least two classes, .* has 1"):
        ready(Animals(labels=torch.zeros(30, dtype=torch.int64)))
    with pytest.raises(UserError, match="training needs .* has 1"):
        ready(Animals(split=ClassSplit(1)))


def test_no_data_at_all_is_one_sentence():
    with pytest.raises(UserError, match="has 0"):
        ready(Animals(labels=torch.zeros(0, dtype=torch.int64)))


def test_too_many_classes_for_the_training_part_is_one_sentence():
    data = ready(Animals(BalancedBatches(4, 2), ClassSplit(3)))
    with pytest.raises(UserError, match="n_classes is 4, but the training data has 3 classes"):
        data.train_dataloader()


def test_a_load_that_differs_from_what_was_declared_is_refused():
    class Wrong(Animals):
        def load(self):
            return ArrayDataset(torch.zeros(4, 1, 3, 3).byte(), [0, 1, 2, 3], NAMES), None

    with pytest.raises(ValueError, match=r"load\(\) of Wrong .*\(1, 3, 3\), but .*\(1, 2, 2\)"):
        ready(Wrong())


@pytest.mark.parametrize("options", [{"eval_batch_size": 0}, {"num_workers": -1}])
def test_bad_arguments_are_named(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be at least"):
        Animals(**options)


def test_mnist5k_is_real_balanced_and_the_same_each_time():
    data = ready(MNIST5k())
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set)] == [
        3_600,
        400,
        1_000,
    ]
    for part in (data.train_set, data.val_set, data.test_set):
        assert len(set(part.labels.bincount().tolist())) == 1
    whole = ready(MNIST5k(split=SampleSplit(validation_size=0, test_size=1_000)))
    assert len(whole.train_set) == 4_000
    assert torch.equal(whole.test_set.__getitems__([0, 999]).inputs, data.test_set.__getitems__([0, 999]).inputs)
    inputs = next(iter(data.test_dataloader())).inputs
    assert abs(float(inputs.mean())) < 0.05 and abs(float(inputs.std()) - 1) < 0.05
    # Digits of a class look alike: the nearest class mean is right for most.
    train = data.train_eval_set.__getitems__(list(range(3_600)))
    means = torch.stack([train.inputs[train.labels == label].mean(0) for label in range(10)])
    test = data.test_set.__getitems__(list(range(1_000)))
    nearest = torch.cdist(test.inputs.flatten(1), means.flatten(1)).argmin(1)
    assert (nearest == test.labels).float().mean() > 0.75


def test_loaders_set_the_data_up_themselves():
    data = Animals()
    assert data.fingerprint() and len(data.test_dataloader()) == 1 and data.loads == 1


def test_fingerprints_differ_by_part_and_repeat():
    data, again = ready(MNIST5k()), ready(MNIST5k(seed=5))
    assert data.fingerprint() == again.fingerprint()
    assert len(set(data.fingerprint().values())) == 3


def test_digits_can_be_enlarged():
    data = ready(Digits(image_size=28))
    assert data.input_shape == (1, 28, 28) == next(iter(data.val_dataloader())).inputs.shape[1:]
    assert data.test_set[0][0].std() > 0.5
    with pytest.raises(ValueError, match="image_size must be at least 8, got 4"):
        Digits(image_size=4)


def test_a_yaml_names_everything():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(MetricDataModule, "data")
    config = yaml.safe_load("""
    data:
      class_path: metric_lightning.data.FashionMNIST
      init_args:
        batches:
          class_path: metric_lightning.data.PairBatches
          init_args: {batch_size: 32}
        split:
          class_path: metric_lightning.data.ClassSplit
          init_args: {train_classes: [Coat, 3], validation_classes: 2}
        augment:
          - class_path: torchvision.transforms.v2.RandomAffine
            init_args: {degrees: 10, translate: [0.1, 0.1]}
        eval_batch_size: 100
    """)
    data = parser.instantiate(parser.parse_object(config)).data
    assert isinstance(data.batches, PairBatches) and data.batches.batch_size == 32
    assert data.class_names[:2] == ["Dress", "Coat"] and data.num_classes == 2
    assert isinstance(data.augment[0], v2.RandomAffine)

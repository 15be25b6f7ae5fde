from pathlib import Path

import pytest
import torch

from metric_lightning.applications.cosegmentation import GarmentPairs, VOCPairs
from metric_lightning.applications.cosegmentation.garments import PHOTOGRAPHS
from metric_lightning.applications.cosegmentation.pairs import as_pictures
from metric_lightning.data import PlainBatches
from metric_lightning.errors import DataNotFound, UserError
from tests.applications.cosegmentation.replica import COLOURS, write_voc
from tests.experiments.replica import write_replica

pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def idx(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("idx")
    write_replica(folder)
    return str(folder)


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("voc")
    write_voc(folder)
    return str(folder)


def garments(idx: str, **options: object) -> GarmentPairs:
    data = GarmentPairs(root=idx, pairs=24, evaluation_pairs=8, batches=PlainBatches(batch_size=8), **options)
    data.setup()
    return data


def test_no_photograph_is_in_two_parts() -> None:
    names = [name for part in PHOTOGRAPHS.values() for name in part]
    assert len(names) == len(set(names))


def test_test_classes_are_in_no_other_picture(idx: str) -> None:
    """Neither shared nor as distractors: the pairs know no other garments."""
    data = garments(idx)
    assert data.class_names[:6] == ["T-shirt/top", "Pullover", "Dress", "Shirt", "Sneaker", "Ankle boot"]
    known = [{number for number, _ in part.dataset.kinds} for part in (data.train_set, data.val_set, data.test_set)]
    assert known[0] == known[1] == {0, 2, 3, 6, 7, 9} and known[2] == {1, 4, 5, 8}
    assert set(data.train_set.labels.tolist()) == set(range(6)) and set(data.test_set.labels.tolist()) == {6, 7, 8, 9}


def test_turned_garments_are_kinds_of_their_own_in_training_alone(idx: str) -> None:
    data = garments(idx, rotated_classes=True)
    upright, turned = (made.train_set.dataset.kinds for made in (garments(idx), data))
    assert len(turned) == 4 * len(upright) == 24 and len(data.val_set.dataset.kinds) == 6
    for place, (number, pictures) in enumerate(turned):
        same, own = upright[place % 6]
        assert number == same and torch.equal(pictures, own.rot90(place // 6, (2, 3)))
    assert set(data.train_set.labels.tolist()) == set(range(6))


def test_evaluation_pairs_are_fixed_and_training_pairs_are_not(idx: str) -> None:
    data = garments(idx)
    one, again = (data.test_set.__getitems__([3, 5]).inputs for _ in range(2))
    assert torch.equal(one.images, again.images) and torch.equal(one.masks, again.masks)
    assert not torch.equal(one.images[0], one.images[1])
    before = torch.get_rng_state()
    data.val_set[0]
    assert torch.equal(before, torch.get_rng_state())
    loaders = [garments(idx).train_dataloader() for _ in range(2)]
    (first, *_), (same, *_) = (list(loader) for loader in loaders)
    assert torch.equal(first.inputs.images, same.inputs.images)
    loaders[0].set_epoch(1)
    anew = {int(i): images for i, images in _samples(loaders[0])}
    assert not torch.equal(anew[int(first.indices[0])], first.inputs.images[0])


def _samples(loader: object) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [pair for batch in loader for pair in zip(batch.indices, batch.inputs.images, strict=True)]  # type: ignore


def test_a_mask_is_where_the_shared_garment_is_seen(idx: str) -> None:
    """Of two makings from the same random numbers, the shared garment bright and dark, exactly the mask differs."""
    pairs = garments(idx).test_set.dataset
    shared = 4 % len(pairs.kinds)
    made = []
    for light in (250, 120):
        number, pictures = pairs.kinds[shared]
        pairs.kinds[shared] = (number, torch.full_like(pictures, light))
        made.append(pairs.pair(4))
    (bright, masks), (dark, _) = made
    assert masks.any((1, 2)).all() and not masks.all()
    assert torch.equal((bright != dark).any(1), masks)


def test_pictures_come_back_from_normalised_ones(idx: str) -> None:
    data = garments(idx)
    raw = data.test_set.dataset.pair(2)[0]
    assert torch.equal(as_pictures(data.test_set[2][0].images), raw)


def test_too_few_classes_for_the_distractors_are_said(idx: str) -> None:
    with pytest.raises(UserError, match="fewer distractors"):
        GarmentPairs(root=idx, test_classes=[0, 1])
    with pytest.raises(ValueError, match="garment_size"):
        GarmentPairs(root=idx, garment_size=(30, 20))


def test_voc_pairs_share_what_their_masks_show(voc: str) -> None:
    data = VOCPairs(root=voc, pairs=12, evaluation_pairs=9, size=(32, 32), num_workers=0)
    data.setup()
    for part in (data.train_set, data.val_set, data.test_set):
        images, masks = part.__getitems__(list(range(len(part)))).inputs
        for pictures, shown, label in zip(as_pictures(images), masks, part.labels.tolist(), strict=True):
            colour = torch.tensor(COLOURS[label + 1])
            for picture, mask in zip(pictures, shown, strict=True):
                inside = picture[:, mask].float()
                assert mask.any() and not mask.all()
                # Both show the shared class: its colour is under the mask.
                assert ((inside - colour[:, None]).abs().max(0).values < 60).float().mean() > 0.3


def test_voc_training_shows_no_test_class(voc: str) -> None:
    data = VOCPairs(root=voc, test_classes=["bird"], pairs=6, evaluation_pairs=4, size=(32, 32), num_workers=0)
    data.setup()
    assert data.class_names[-1] == "bird" and data.num_classes == 19
    assert set(data.test_set.labels.tolist()) == {19}
    # Photographs of class 1 show class 3, the bird, too: what is left is class 8.
    assert {data.class_names[label] for label in data.train_set.labels} == {"cat"}


def test_voc_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="give its folder"):
        VOCPairs(root=str(tmp_path)).setup()

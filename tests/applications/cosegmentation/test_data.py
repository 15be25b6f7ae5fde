from pathlib import Path

import pytest
import torch
from torch.nn.functional import interpolate

from metric_lightning.applications.cosegmentation import GarmentPairs, VOCPairs
from metric_lightning.applications.cosegmentation.pairs import as_pictures
from metric_lightning.applications.cosegmentation.pasting import GarmentKind
from metric_lightning.applications.cosegmentation.photographs import PHOTOGRAPHS
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
    known = [{kind.label for kind in part.dataset.kinds} for part in (data.train_set, data.val_set, data.test_set)]
    assert known[0] == known[1] == {0, 2, 3, 6, 7, 9} and known[2] == {1, 4, 5, 8}
    assert set(data.train_set.labels.tolist()) == set(range(6)) and set(data.test_set.labels.tolist()) == {6, 7, 8, 9}


def test_turned_and_stretched_garments_are_kinds_of_their_own_in_training_alone(idx: str) -> None:
    upright = garments(idx).train_set.dataset.kinds
    for options, count in (({}, 1), ({"rotated_classes": True}, 4), ({"stretched_classes": True}, 3)):
        data = garments(idx, **options)
        kinds = data.train_set.dataset.kinds
        assert len(kinds) == count * len(upright) == 6 * count and len(data.val_set.dataset.kinds) == 6
        assert [kind.label for kind in kinds] == [kind.label for kind in upright] * count
        assert len({(kind.label, kind.turn, kind.extent) for kind in kinds}) == len(kinds)
        assert kinds[0].turn == 0 and kinds[0].extent == (1, 1)
        assert set(data.train_set.labels.tolist()) == set(range(6))


@pytest.mark.parametrize(("turn", "extent"), [(0, (1.0, 1.0)), (1, (1.0, 1.0)), (3, (0.5, 1.0)), (2, (1.0, 0.5))])
def test_a_kind_is_drawn_mirrored_turned_and_stretched(idx: str, turn: int, extent: tuple[float, float]) -> None:
    """In this order, so that what is turned left is never one turned right."""
    pairs = garments(idx, garment_size=(28, 28)).train_set.dataset
    upright = torch.randint(60, 255, (1, 1, 28, 28), dtype=torch.uint8)
    (height, width), found = (round(28 * share) for share in extent), set()
    looks = [kind.rot90(turn, (2, 3)).float() for kind in (upright, upright.flip(3))]
    expected = [interpolate(look, (height, width), mode="bilinear")[0, 0] for look in looks]
    for _ in range(20):
        drawn, shape = pairs._garment(GarmentKind(0, upright, turn, extent))
        assert drawn.shape == (3, height, width) and shape.all()
        likeness = [torch.corrcoef(torch.stack([drawn[0].flatten(), look.flatten()]))[0, 1] for look in expected]
        assert max(likeness) > 0.9999
        found.add(likeness.index(max(likeness)))
    assert found == {0, 1}


def test_kinds_say_what_every_pixel_shows(idx: str) -> None:
    data = garments(idx, rotated_classes=True)
    masked = data.train_set.__getitems__(list(range(24))).inputs
    for index in range(24):
        shared = 1 + index
        assert torch.equal(masked.masks[index], masked.kinds[index] == shared)
        first, second = (set(kinds.unique().tolist()) - {0} for kinds in masked.kinds[index])
        assert first & second == {shared} and len(first | second) == 3


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
        kind = pairs.kinds[shared]
        pairs.kinds[shared] = kind._replace(pictures=torch.full_like(kind.pictures, light))
        made.append(pairs.pair(4))
    (bright, masks, _), (dark, _, _) = made
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
        images, masks, kinds = part.__getitems__(list(range(len(part)))).inputs
        assert set(kinds.unique().tolist()) <= {-1, 0, *COLOURS} and (kinds[:, :, -8:] == -1).any()
        assert (kinds[masks] > 0).all()
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

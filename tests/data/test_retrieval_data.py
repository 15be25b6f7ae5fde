"""The four retrieval data sets, on replicas of their folders: who trains, who tests, boxes, workers, missing files."""

import shutil

import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from metric_lightning.data import (
    CUB200,
    BalancedBatches,
    Cars196,
    ClassFold,
    ImageFiles,
    InShop,
    StanfordOnlineProducts,
)
from metric_lightning.errors import DataNotFound, UserError
from tests.data import retrieval_replicas as replicas

SMALL = {"size": 8, "resize": 16, "num_workers": 0}
# Of each: its class, its replica, and what the k-th picture shows: its class name and whether it trains.
ALL = {
    "CUB200": (CUB200, replicas.cub200, lambda k: (f"{k % 4 + 1:03d}.Bird_{k % 4 + 1}", k % 4 < 2)),
    "Cars196": (Cars196, replicas.cars196, lambda k: (f"Car {k % 4 + 1}", k % 4 < 2)),
    "Cars196 of torchvision": (Cars196, replicas.stanford_cars, lambda k: (f"Car {k % 4 + 1}", k % 4 < 2)),
    "StanfordOnlineProducts": (
        StanfordOnlineProducts,
        replicas.products,
        lambda k: (f"{'bicycle' if k % 2 else 'sofa'}/{k // 3 * 2 + k % 2 + 1}", k < 6),
    ),
    "InShop": (InShop, replicas.in_shop, lambda k: (f"id_{k % 4 + 1:08d}", k % 4 < 2)),
}


class Testing:
    global_rank, world_size, testing, overfit_batches = 0, 1, True, 0.0


def shown(dataset) -> dict[int, str]:
    """Return the class name of each picture by its number."""
    batch = dataset.__getitems__(list(range(len(dataset))))
    names = [dataset.class_names[label] for label in batch.labels.tolist()]
    return dict(zip(replicas.brightness(batch.inputs), names, strict=True))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("root", ["above", "itself"])
def test_official_split(name, root, tmp_path):
    cls, write, expected = ALL[name]
    write(tmp_path)
    folder = tmp_path if root == "above" else next(tmp_path.iterdir())
    data = cls(str(folder), **SMALL)
    assert data.num_classes == len({expected(k)[0] for k in range(12) if expected(k)[1]})
    data.setup()
    tested = shown(data.test_set)
    if cls is InShop:
        gallery = shown(data.test_gallery_set)
        assert set(gallery) == {10, 11} and set(tested) == {2, 3, 6, 7}
        tested |= gallery
    assert shown(data.train_set) == {k: expected(k)[0] for k in range(12) if expected(k)[1]}
    assert tested == {k: expected(k)[0] for k in range(12) if not expected(k)[1]}
    assert data.val_dataloader() == []
    assert set(data.train_set.labels.tolist()) == set(range(data.num_classes))


@pytest.mark.parametrize("name", ["CUB200", "Cars196", "Cars196 of torchvision", "InShop"])
def test_boxes_cut_to_the_very_pixel(name, tmp_path):
    cls, write, _ = ALL[name]
    write(tmp_path)
    left, top, right, bottom = replicas.BOX
    plain, cut = (cls(str(tmp_path), crop_boxes=boxes, size=16, resize=16, num_workers=0) for boxes in (False, True))
    for data in (plain, cut):
        data.setup()
    pixels = (cut.train_set[1][0][0] * 0.229 + 0.485) * 255
    assert bottom - top == 16 and right - left > 16
    k = round(float(pixels.mean()) + 2) // 8
    assert torch.allclose(pixels, torch.tensor(8.0 * k + 2), atol=1e-3)
    whole = (plain.train_set[1][0][0] * 0.229 + 0.485) * 255
    assert whole.max() > 8 * k + 3.5 and whole.min() < 8 * k + 2.5


def test_products_have_no_boxes(tmp_path):
    replicas.products(tmp_path)
    with pytest.raises(UserError, match="Stanford Online Products comes without boxes"):
        StanfordOnlineProducts(str(tmp_path), crop_boxes=True)


def test_validation_classes_are_training_classes(tmp_path):
    replicas.cub200(tmp_path)
    (tmp_path / "CUB_200_2011/classes.txt").write_text("".join(f"{i} {i:03d}.Bird_{i}\n" for i in range(1, 7)))
    named = CUB200(str(tmp_path), ["003.Bird_3"], **SMALL)
    named.setup()
    assert set(shown(named.val_set).values()) == {"003.Bird_3"} and named.num_classes == 2
    assert set(shown(named.test_set).values()) == {"004.Bird_4"}
    drawn = {CUB200(str(tmp_path), 1, split_seed=seed, **SMALL).split.validation_classes[0] for seed in range(9)}
    assert drawn == {0, 1, 2}
    with pytest.raises(UserError, match="validation_classes is 3, but CUB-200-2011 has 3 training classes here"):
        CUB200(str(tmp_path), 3, **SMALL)
    with pytest.raises(UserError, match="'004.Bird_4' is an official test class"):
        CUB200(str(tmp_path), ["004.Bird_4"], **SMALL)
    fold = CUB200(str(tmp_path), split=ClassFold(0, 3), **SMALL)
    assert fold.num_classes == 2


@pytest.mark.parametrize("name", ALL)
def test_missing_data_are_one_sentence(name, tmp_path):
    cls = ALL[name][0]
    with pytest.raises(DataNotFound) as error:
        cls(str(tmp_path))
    message = str(error.value)
    assert message.startswith(f"{cls.title} is not in {tmp_path}: download it from https://") and "\n" not in message
    assert str(tmp_path / cls.folders[0] / cls.marker[0]) in message


def test_missing_and_damaged_files_are_one_sentence(tmp_path):
    root = replicas.cub200(tmp_path) / "CUB_200_2011"
    data = CUB200(str(tmp_path), **SMALL)
    data.setup()
    (root / "images/001.Bird_1/0.jpg").unlink()
    with pytest.raises(UserError, match="0.jpg is missing; put it there"):
        data.train_set[0]
    (root / "images/001.Bird_1/0.jpg").write_bytes(b"half")
    with pytest.raises(UserError, match="0.jpg can't be read"):
        data.train_set[0]
    (root / "image_class_labels.txt").unlink()
    with pytest.raises(UserError, match="image_class_labels.txt can't be read"):
        CUB200(str(tmp_path))
    shutil.rmtree(root)
    cars = replicas.cars196(tmp_path) / "cars196"
    for content in (b"no matlab", b"no matlab" * 99, (cars / "cars_annos.mat").read_bytes()[:300]):
        (cars / "cars_annos.mat").write_bytes(content)
        with pytest.raises(UserError, match="cars_annos.mat can't be read"):
            Cars196(str(tmp_path))


def test_workers_decode_and_augment_as_this_process_does(tmp_path):
    replicas.cub200(tmp_path)
    batches = []
    for workers in (0, 2):
        data = CUB200(
            str(tmp_path),
            batches=BalancedBatches(2, 2),
            augment=[v2.RandomResizedCrop(8), v2.ColorJitter(0.5)],
            **(SMALL | {"num_workers": workers}),
        )
        batches.append([(batch.inputs, batch.indices) for batch in data.train_dataloader()])
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    plain = data.train_eval_set.__getitems__(one[1].tolist()).inputs
    assert not torch.allclose(plain, one[0], atol=1e-2) and plain.shape == one[0].shape == (4, 3, 8, 8)


def test_the_gallery_of_a_test_is_the_official_one(tmp_path):
    replicas.in_shop(tmp_path)
    data = InShop(str(tmp_path), **SMALL)
    assert len(data.gallery_dataloader().dataset) == 6
    data.trainer = Testing()
    assert data.gallery_dataloader().dataset is data.test_gallery_set
    names = {data.class_names[label] for label in data.test_gallery_set.labels.tolist()}
    assert names == {data.class_names[label] for label in data.test_set.labels.tolist()}
    data = InShop(str(tmp_path), split=ClassFold(0, 4), **SMALL)
    data.setup()
    tested = set(data.split.classes(data.own_class_names).test)
    named = {data.own_class_names.index(data.class_names[i]) for i in data.test_gallery_set.labels.tolist()}
    assert named <= tested


def test_preparation_of_a_picture(tmp_path):
    replicas.picture(tmp_path / "a.png", 3)
    data = ImageFiles([tmp_path / "a.png"], [0], ["a"], size=16, resize=16)
    values = (data[0][0] * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)).add(
        torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    )
    expected = v2.functional.center_crop(v2.functional.resize(torch.full((1, 32, 40), 28 / 255), [16]), [16])
    assert values[:, 0, 0] == pytest.approx([float(expected[0, 0, 0])] * 3, abs=1e-5)
    assert values[:, 8, 8] == pytest.approx([26 / 255] * 3, abs=1e-5)
    assert torch.equal(data.input_of(Image.open(tmp_path / "a.png")), data[0][0])
    with pytest.raises(ValueError, match="got 1, 2 and None"):
        ImageFiles(["a"], [0, 0], ["a"])
    with pytest.raises(ValueError, match="size=20 must be at least 1 and at most resize=10"):
        ImageFiles(["a"], [0], ["a"], size=20, resize=10)
    outside = ImageFiles([tmp_path / "a.png"], [0], ["a"], boxes=[(50.0, 0.0, 60.0, 9.0)])
    with pytest.raises(UserError, match="lies outside of"):
        outside[0]

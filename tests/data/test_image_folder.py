"""A user's own folder of pictures: classes, parts, what is prepared how, and every bad input."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from metric_lightning.command_line.failures import sentence_of
from metric_lightning.data import BalancedBatches, ClassSplit, ImageFolder, SampleSplit
from metric_lightning.errors import DataNotFound, UserError
from tests.data.digit_pictures import NAMES, write_digits

SMALL = {"size": 16, "num_workers": 0}


def set_up(root, **options) -> ImageFolder:
    data = ImageFolder(str(root), **(SMALL | options))
    data.setup()
    return data


def files(part) -> set[str]:
    """Return the paths of a part's pictures."""
    return {part.dataset.paths[place] for place in part.indices.tolist()}


def names(part) -> set[str]:
    return {part.class_names[label] for label in part.labels.tolist()}


def test_a_folder_a_class_split_by_sample(tmp_path):
    paths = write_digits(tmp_path, each=10)
    data = set_up(tmp_path)
    parts = [files(part) for part in (data.train_set, data.val_set, data.test_set)]
    assert [len(part) for part in parts] == [28, 4, 8]
    assert set.union(*parts) == {str(path) for path in paths}
    assert data.class_names == sorted(NAMES[:4]) and data.num_classes == 4
    for part in (data.train_set, data.val_set, data.test_set):
        for place, label in zip(part.indices.tolist(), part.labels.tolist(), strict=True):
            assert Path(part.dataset.paths[place]).parent.name == data.class_names[label]


def test_split_by_class_trains_on_other_classes_than_it_tests(tmp_path):
    write_digits(tmp_path, each=4, classes=6)
    data = set_up(tmp_path, split=ClassSplit(3, 1, 2))
    parts = [names(part) for part in (data.train_set, data.val_set, data.test_set)]
    assert [len(part) for part in parts] == [3, 1, 2] and len(set.union(*parts)) == 6
    assert data.num_classes == 3 and set(data.class_names[:3]) == parts[0]


@pytest.mark.parametrize(
    ("folders", "sizes"),
    [
        ({"train": 10, "val": 3, "test": 5}, (30, 9, 15)),
        ({"Training": 10, "valid": 3}, (30, 9, 0)),
        ({"train": 10, "test": 5}, (27, 3, 15)),
        ({"train": 10}, (21, 3, 6)),
    ],
)
def test_folders_that_part_the_data(folders, sizes, tmp_path):
    written, first = {}, 0
    for folder, each in folders.items():
        written[folder] = {str(path) for path in write_digits(tmp_path / folder, each, classes=3, first=first)}
        first += each
    data = set_up(tmp_path)
    found = [files(part) for part in (data.train_set, data.val_set, data.test_set)]
    assert tuple(len(part) for part in found) == sizes
    if "test" in folders:
        assert found[2] == written["test"]
    assert data.class_names == ["one", "two", "zero"]
    assert set.union(*found) == set.union(*written.values())


def test_classes_that_only_test_are_no_training_classes(tmp_path):
    write_digits(tmp_path / "train", each=10, classes=3)
    write_digits(tmp_path / "test", each=4, classes=2, names=["alpha", "two"])
    data = set_up(tmp_path)
    assert data.class_names == ["one", "two", "zero", "alpha"] and data.num_classes == 3
    assert names(data.test_set) == {"alpha", "two"} and len(data.val_set) == 3


def test_a_gallery_of_its_own_is_searched_and_may_hold_other_classes(tmp_path):
    write_digits(tmp_path / "train", each=10, classes=3)
    write_digits(tmp_path / "query", each=2, classes=2, first=10)
    gallery = write_digits(tmp_path / "gallery", each=3, classes=4, first=12)
    data = set_up(tmp_path)
    assert len(data.test_set) == 4 and data.test_gallery_set is not None
    assert files(data.test_gallery_set) == {str(path) for path in gallery}
    assert names(data.test_gallery_set) == set(NAMES[:4])


def test_pictures_in_folders_below_and_files_that_are_none(tmp_path):
    paths = write_digits(tmp_path, each=4)
    (tmp_path / "zero/more/yet").mkdir(parents=True)
    shutil.move(paths[0], tmp_path / "zero/more/yet/Ähnlich 零.PNG")
    for name in ("zero/.hidden.png", "zero/notes.txt", "one/Thumbs.db", ".DS_Store", "one/.DS_Store"):
        (tmp_path / name).write_text("no picture")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "empty").mkdir()
    os.symlink(tmp_path, tmp_path / "zero" / "round")  # a link that goes in circles
    os.unlink(tmp_path / "zero" / "round")
    os.symlink(tmp_path / "zero", tmp_path / "zero" / "again")
    data = set_up(tmp_path)
    assert len(data.train_set) + len(data.val_set) + len(data.test_set) == 16
    assert str(tmp_path / "zero/more/yet/Ähnlich 零.PNG") in data.listing.paths
    assert data.listing.notes == [
        "class folders without a picture, left out: 1 (empty).",
        f"files below {tmp_path} that are no pictures by their names, passed over: 2.",
    ]


def test_the_preset_of_a_backbone_and_what_goes_before_it(tmp_path):
    write_digits(tmp_path, each=4)
    described = ImageFolder(str(tmp_path), preset="efficientnet_b0").preprocessing()
    assert (described["size"], described["resize"], described["interpolation"]) == ([224, 224], 256, "bicubic")
    assert described["mean"] == [0.485, 0.456, 0.406]
    data = set_up(tmp_path, preset="resnet50:IMAGENET1K_V2", size=112, mean=[0.5, 0.5, 0.5])
    assert data.preprocessing()["resize"] == 116 and data.preprocessing()["mean"] == [0.5, 0.5, 0.5]
    assert data.train_eval_set[0][0].shape == data.input_shape == (3, 112, 112)
    grey = set_up(tmp_path, grey=True)
    assert grey.train_eval_set[0][0].shape == (1, 16, 16) and len(grey.preprocessing()["mean"]) == 1
    with pytest.raises(UserError, match="preset 'resnet-50' is no torchvision.*nearest: .*resnet50"):
        ImageFolder(str(tmp_path), preset="resnet-50")
    with pytest.raises(UserError, match="resnet50 has the weights IMAGENET1K_V1, IMAGENET1K_V2"):
        ImageFolder(str(tmp_path), preset="resnet50:V9")


def test_the_preset_of_a_timm_model(tmp_path):
    pytest.importorskip("timm")
    write_digits(tmp_path, each=4)
    described = ImageFolder(str(tmp_path), preset="timm/vit_base_patch16_clip_224.openai").preprocessing()
    assert described["size"] == [224, 224] and described["interpolation"] == "bicubic"
    assert described["mean"][0] == pytest.approx(0.48145466)
    with pytest.raises(UserError, match="preset timm/resnet5O is no timm model; nearest: resnet50"):
        ImageFolder(str(tmp_path), preset="timm/resnet5O")


def test_training_pictures_are_augmented_unless_told_otherwise(tmp_path):
    write_digits(tmp_path, each=4)
    data = set_up(tmp_path)
    assert [type(transform).__name__ for transform in data.augment][0] == "RandomResizedCrop"
    torch.manual_seed(0)
    assert not torch.equal(data.train_set[0][0], data.train_eval_set[0][0])
    plain = set_up(tmp_path, augment=[])
    assert torch.equal(plain.train_set[0][0], plain.train_eval_set[0][0])
    own = set_up(tmp_path, augment=[v2.RandomInvert(1.0)])
    shown = 255 - round(float(plain.train_set[0][0][0, 8, 8]) * 0.229 * 255 + 0.485 * 255)
    assert round(float(own.train_set[0][0][0, 8, 8]) * 0.229 * 255 + 0.485 * 255) == shown


def test_workers_load_what_this_process_does_from_the_cache_too(tmp_path):
    write_digits(tmp_path / "photos", each=6)
    batches = []
    for workers, cache in ((0, None), (2, str(tmp_path / "cache")), (2, str(tmp_path / "cache"))):
        data = set_up(
            tmp_path / "photos", num_workers=workers, cache_dir=cache, batches=BalancedBatches(2, 3), resize=16
        )
        batches.append([batch.inputs for batch in data.train_dataloader()])
    for one, two, three in zip(*batches, strict=True):
        assert torch.equal(one, two) and torch.equal(one, three)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) > 10


def empty(root):
    root.mkdir()


def no_class_folders(root):
    write_digits(root, each=3, classes=1)
    for path in (root / "zero").iterdir():
        path.rename(root / path.name)
    (root / "zero").rmdir()


def one_class(root):
    write_digits(root, each=3, classes=1)


def empty_class_folders(root):
    (root / "a").mkdir(parents=True)
    (root / "b").mkdir()


def strange_part(root):
    write_digits(root / "train", each=3)
    (root / "extra").mkdir()


def parts_without_classes(root):
    for part in ("train", "test"):
        write_digits(root, each=3, classes=1, names=[part])


def no_training_part(root):
    for part in ("val", "test"):
        write_digits(root / part, each=3)


def class_of_other_bytes(root):
    write_digits(root, each=3)
    os.rename(root / "zero", os.fsencode(root) + b"/z\xe9ro")


BAD_FOLDERS = {
    "the folder .*photos holds 6 pictures, but no class folders": parts_without_classes,
    "no picture is in the training part; call a part of them train": no_training_part,
    r"class folders of .*photos whose names are no UTF-8: 1 \(z\\xe9ro\); rename them": class_of_other_bytes,
    "there is no folder .*photos; give the folder": lambda root: None,
    "the folder .*photos is empty: put a folder for each class there": empty,
    "the folder .*photos holds 3 pictures, but no class folders: put the pictures of each class": no_class_folders,
    r"photos has one class \(zero\), but there must be another": one_class,
    "the class folders of .*photos hold no picture .* put pictures into a, b": empty_class_folders,
    "photos has a folder for training, and beside it extra, which is no part": strange_part,
}


@pytest.mark.parametrize("sentence", BAD_FOLDERS)
def test_a_bad_folder_is_one_sentence(sentence, tmp_path):
    BAD_FOLDERS[sentence](tmp_path / "photos")
    with pytest.raises(UserError, match=sentence) as error:
        ImageFolder(str(tmp_path / "photos"))
    assert "\n" not in str(error.value)
    assert isinstance(error.value, DataNotFound) == (not (tmp_path / "photos").exists())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path):
    write_digits(tmp_path, each=3)
    (tmp_path / "zero").chmod(0)
    try:
        with pytest.raises(UserError, match="zero can't be read"):
            ImageFolder(str(tmp_path))
    finally:
        (tmp_path / "zero").chmod(0o755)


def test_a_folder_that_vanishes_while_it_is_read(tmp_path, monkeypatch):
    def refused(path, **options):
        options["onerror"](PermissionError(13, "Permission denied", str(path)))
        return iter(())

    write_digits(tmp_path, each=3)
    monkeypatch.setattr("metric_lightning.data.picture_walk.os.walk", refused)
    with pytest.raises(UserError, match=r"one can't be read \(Permission denied\); change its permissions"):
        ImageFolder(str(tmp_path))


def spoil(paths) -> list[Path]:
    """Spoil five pictures, each in its way."""
    paths[0].write_bytes(b"")
    paths[5].write_text("no picture")
    paths[12].write_bytes(paths[12].read_bytes()[:-30])
    content = bytearray(paths[13].read_bytes())
    content[len(content) // 2] ^= 255
    paths[13].write_bytes(content)
    Image.new("RGB", (64, 64), "red").save(paths[25].with_suffix(".jpg"))
    whole = paths[25].with_suffix(".jpg").read_bytes()
    paths[25].unlink()
    paths[25].with_suffix(".jpg").write_bytes(whole[: len(whole) // 2])
    return [*paths[:1], paths[5], *paths[12:14], paths[25].with_suffix(".jpg")]


def test_all_pictures_that_cant_be_used_are_named_at_once_before_training(tmp_path):
    bad = spoil(write_digits(tmp_path, each=12))
    with pytest.raises(UserError, match="^5 of 48 pictures of .* can't be used: ") as error:
        set_up(tmp_path)
    for path in bad:
        assert str(path) in str(error.value)
    assert str(error.value).endswith("mend them, or leave them out by on_error: skip") and "\n" not in str(error.value)


def test_pictures_that_cant_be_used_are_left_out_on_request_and_counted(tmp_path, caplog):
    bad = spoil(write_digits(tmp_path, each=12))
    with caplog.at_level("INFO", logger="lightning.pytorch.utilities.rank_zero"):
        data = set_up(tmp_path, on_error="skip")
    kept = set.union(*(files(part) for part in (data.train_set, data.val_set, data.test_set)))
    assert len(kept) == 43 and not kept & {str(path) for path in bad} and len(data.faults) == 5
    assert "5 of 48 pictures" in caplog.text and "left out (on_error: skip)" in caplog.text
    for batch in data.gallery_dataloader():
        assert torch.isfinite(batch.inputs).all()
    with pytest.raises(ValueError, match='on_error must be "stop" or "skip", got \'ignore\''):
        ImageFolder(str(tmp_path), on_error="ignore")


def test_a_picture_spoilt_during_training_is_one_sentence_from_a_worker_too(tmp_path):
    paths = write_digits(tmp_path, each=6)
    for workers in (0, 1):
        data = set_up(tmp_path, num_workers=workers, split=SampleSplit(0, 0))
        whole = paths[3].read_bytes()
        paths[3].write_bytes(b"")
        with pytest.raises(UserError) as error:
            list(data.gallery_dataloader())
        said = sentence_of(error.value)
        assert said.startswith(f"picture {paths[3]} is an empty file; fetch it again") and "Traceback" not in said
        paths[3].write_bytes(whole)


def test_a_class_with_one_picture_trains_and_one_only_in_validation_does_not(tmp_path):
    paths = write_digits(tmp_path / "train", each=8, classes=3)
    for path in paths[1:8]:
        path.unlink()
    write_digits(tmp_path / "val", each=2, classes=4, first=8)
    data = set_up(tmp_path, batches=BalancedBatches(3, 2))
    assert data.num_classes == 3 and data.class_names == ["one", "two", "zero", "three"]
    batch = next(iter(data.train_dataloader()))
    assert sorted(batch.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert "three" in names(data.val_set)


def test_a_split_beside_parted_folders_is_refused(tmp_path):
    for part in ("train", "val"):
        write_digits(tmp_path / part, each=3)
    with pytest.raises(UserError, match="says itself which pictures train and validate; leave split out"):
        ImageFolder(str(tmp_path), split=SampleSplit())
    shutil.move(tmp_path / "val", tmp_path / "test")
    with pytest.raises(UserError, match=r"sets 3 more pictures apart for test; name .*test_classes: \[\]"):
        ImageFolder(str(tmp_path), split=ClassSplit(2, 1))
    data = set_up(tmp_path, split=ClassSplit(3, 1, []))
    assert data.num_classes == 3 and len(names(data.val_set)) == 1 and len(names(data.test_set)) == 4


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    """A link to a class elsewhere is that class; a link upwards leads to no picture twice, nor to other classes'."""
    write_digits(tmp_path / "elsewhere", each=4, classes=1)
    paths = write_digits(tmp_path / "photos", each=4, classes=2, names=["a", "b"])
    root = tmp_path / "photos"
    (root / "linked").symlink_to(tmp_path / "elsewhere/zero")
    (root / "all").symlink_to(root)  # as a class it would hold all others
    (root / "above").symlink_to("..")
    (root / "a/up").symlink_to("..")
    (root / "b/round").symlink_to("../b/round")
    listing = ImageFolder(str(root)).listing
    assert listing.class_names == ["a", "b", "linked"]
    assert sorted(listing.paths) == sorted(
        [*map(str, paths), *(str(root / "linked" / path.name) for path in (root / "linked").iterdir())]
    )
    assert "class folders without a picture, left out: 2 (above, all)." in listing.notes


def test_pictures_beside_the_class_folders_are_told(tmp_path):
    write_digits(tmp_path, each=3)
    for name in ("loose.png", "odd\x1b.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    (note,) = ImageFolder(str(tmp_path)).listing.notes
    assert note.startswith("pictures beside the class folders, which say no class, left out: 2 (")
    assert r"odd\x1b.png" in note and "\x1b" not in note

"""Omniglot: every layout that people have, alphabets kept apart, trials in their order, drawers, what goes wrong."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metric_lightning.data import ClassFold, Omniglot, Preprocessing
from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.metrics import EmbeddedSet, OneShotTrials
from tests.data.omniglot_replica import scribble, write_set, write_trials

BACKGROUND = {"Greek": 3, "Latin": 2, "Korean": 4}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("omniglot")
    write_set(folder / "data/omniglot-py/images_background", BACKGROUND, drawers=3)
    write_set(folder / "data/omniglot-py/images_evaluation", {"Oriya": 2, "Tibetan": 1}, drawers=3, first=50)
    write_trials(folder / "trials")
    return folder


def zipped(folder: Path, target: Path, prefix: str) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(f"__MACOSX/{prefix}/Greek/character01/._0001_01.png", b"no picture")
        archive.writestr(f"{prefix}/.DS_Store", b"")
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, f"{prefix}/{path.relative_to(folder)}")
    return target


def alphabets(data: Omniglot, part: str) -> set[str]:
    dataset = getattr(data, part)
    return {dataset.class_names[label].split("/")[0] for label in dataset.labels.tolist()}


def ready(*args, **options) -> Omniglot:
    data = Omniglot(*args, **options)
    data.prepare_data()
    data.setup()
    return data


def test_background_trains_and_validates_by_alphabet_evaluation_tests(files):
    data = ready(str(files / "data"), validation_alphabets=["Greek"], rotated_classes=True)
    assert data.num_classes == 4 * 6 and len(data.train_set) == 4 * 6 * 3
    assert (alphabets(data, "val_set"), alphabets(data, "test_set")) == ({"Greek"}, {"Oriya", "Tibetan"})
    assert len(data.val_set) == 9 and len(data.test_set) == 9
    drawn = ready(str(files / "data"), validation_alphabets=1)
    parts = [alphabets(drawn, part) for part in ("train_set", "val_set")]
    assert not parts[0] & parts[1] and parts[0] | parts[1] == set(BACKGROUND) and len(parts[1]) == 1
    others = {frozenset(alphabets(ready(str(files / "data"), None, 1, split_seed=s), "val_set")) for s in range(8)}
    assert len(others) > 1


def test_alphabets_of_the_background_and_some_drawers_test(files, tmp_path):
    write_set(tmp_path / "images_background", BACKGROUND, drawers=3)
    data = ready(str(tmp_path), validation_alphabets=["Greek"], test_alphabets=["Latin"], test_drawers=[2, 3])
    parts = [alphabets(data, part) for part in ("train_set", "val_set", "test_set")]
    assert parts == [{"Korean"}, {"Greek"}, {"Latin"}]
    # Of the three people one draws for training, two for the others.
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set)] == [4 * 1, 3 * 2, 2 * 2]
    whole = ready(str(tmp_path), validation_alphabets=["Greek"], test_alphabets=["Latin"])
    for part, drawers in (("train_set", [1]), ("val_set", [2, 3]), ("test_set", [2, 3])):
        of_all, kept = getattr(whole, part), getattr(data, part)
        places = [place for place in range(len(of_all)) if place % 3 + 1 in drawers]
        assert torch.equal(of_all.__getitems__(places).inputs, kept.__getitems__(list(range(len(kept)))).inputs)
    with pytest.raises(UserError, match="test_alphabets is given, but trials or evaluation alphabets are there"):
        Omniglot(str(files / "data"), test_alphabets=1)
    with pytest.raises(ValueError, match="test_drawers must be some of the drawers, and leave some to train"):
        Omniglot(str(tmp_path), drawers=[1, 2], test_drawers=[1, 2])


def test_all_layouts_give_the_same(files, tmp_path):
    expected = ready(str(files / "data"), validation_alphabets=1).fingerprint()
    sets = files / "data/omniglot-py"
    names = ("images_background", "images_evaluation")
    archives = [zipped(sets / name, tmp_path / f"{name}.zip", name) for name in names]
    half = tmp_path / "half"
    shutil.copytree(sets / "images_background/Greek", half / "Greek")
    half = zipped(half, tmp_path / "small1.zip", "images_background_small1")
    for root in (str(sets), str(tmp_path), [*map(str, archives)], [str(half), str(archives[1]), str(sets)]):
        assert ready(root, validation_alphabets=1).fingerprint() == expected, root
    background = ready(str(sets / "images_background"), validation_alphabets=1)
    assert len(background.own_class_names) == 9 and background.test_dataloader() == []


@pytest.mark.parametrize("size", [105, 28])
def test_pictures_are_bright_ink_of_the_size_asked_for(files, size):
    data = ready(str(files / "data"), validation_alphabets=["Greek"], size=size)
    assert data.input_shape == (1, size, size) == data.train_set[0][0].shape
    names = [data.class_names[label] for label in data.train_set.labels.tolist()]
    found = data.train_set[names.index("Latin/character01")][0] * 0.23 + 0.08
    original = scribble(4, 1).convert("L").resize((size, size), Image.Resampling.BILINEAR)  # Greek has 1 to 3
    expected = 1 - torch.tensor(np.array(original)[None] / 255, dtype=torch.float32)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_drawers_are_chosen(files):
    data = ready(str(files / "data"), validation_alphabets=1, drawers=[1, 3])
    assert len(data.test_set) == 2 * 3 and len(data.train_set) + len(data.val_set) == 2 * 9
    with pytest.raises(ValueError, match=r"drawers must be some of 1..20, got \[0\]"):
        Omniglot(str(files / "data"), drawers=[0])


def test_trials_are_the_test_part_in_their_order(files):
    data = ready(str(files / "data"), str(files / "trials"), 1, rotated_classes=True)
    assert len(data.test_set) == 80 and alphabets(data, "train_set") | alphabets(data, "val_set") == set(BACKGROUND)
    batch = next(iter(data.test_dataloader()))
    names = [data.class_names[label] for label in batch.labels.tolist()]
    for run in (0, 1):
        expected = [f"run{run + 1:02d}/class{place:02d}" for place in range(1, 21)]
        assert names[40 * run : 40 * run + 40] == expected + expected[::-1]
    pixels = EmbeddedSet(batch.inputs.flatten(1), batch.labels, batch.indices)
    assert OneShotTrials().evaluate(pixels)["one_shot_accuracy"] == 1.0
    assert not {name for name in data.class_names[: data.num_classes] if "run" in name}


def test_a_split_of_the_users_own(files):
    folds = [ready(str(files / "data"), split=ClassFold(fold, 3)) for fold in range(3)]
    assert sorted(len(data.test_set) for data in folds) == [12, 12, 12]
    with pytest.raises(ValueError, match="give one of the two"):
        Omniglot(str(files / "data"), str(files / "trials"), split=ClassFold(0))


def test_what_goes_wrong_is_one_sentence(files, tmp_path):
    with pytest.raises(DataNotFound, match="Omniglot is not in .*nowhere: put images_background and images_evaluation"):
        Omniglot(str(tmp_path / "nowhere"))
    with pytest.raises(DataNotFound, match="Omniglot is not in"):
        Omniglot(str(tmp_path))
    with pytest.raises(DataNotFound, match="trials: .*none.zip doesn't exist"):
        Omniglot(str(files / "data"), str(tmp_path / "none.zip"))
    with pytest.raises(UserError, match="validation_alphabets is 3, but there are 3 background"):
        Omniglot(str(files / "data"), validation_alphabets=3)
    with pytest.raises(UserError, match="no background alphabet 'Oriya'; there are Greek, Korean, Latin"):
        Omniglot(str(files / "data"), validation_alphabets=["Oriya"])
    (tmp_path / "cut.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="cut.zip is no whole zip file"):
        Omniglot(str(tmp_path / "cut.zip"))
    damaged = tmp_path / "images_background"
    shutil.copytree(files / "data/omniglot-py/images_background", damaged)
    (damaged / "Greek/character02/0002_01.png").write_bytes(b"half a picture")
    with pytest.raises(UserError, match="drawing of Greek/character02, drawer 1 can't be read"):
        ready(str(damaged), validation_alphabets=1)


def test_a_new_picture_is_prepared_as_the_drawings_are(files):
    data = ready(str(files / "data"), validation_alphabets=["Greek"], rotated_classes=True)
    names = [data.class_names[label] for label in data.train_set.labels.tolist()]
    known = data.train_set[names.index("Latin/character02")][0]
    assert torch.equal(data.train_set.input_of(scribble(5, 1).convert("RGB")), known)
    described = data.preprocessing()
    assert described is not None and described["invert"]
    found = Preprocessing.from_dict(described)(scribble(5, 1).convert("RGB"))
    assert (found - known).abs().max() < 0.02  # scaled by torch instead of Pillow: a grey level apart at most

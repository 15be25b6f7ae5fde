"""MNIST-like files: read exactly, found in each usual place, missed in one sentence."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from metric_lightning.data import KMNIST, MNIST, FashionMNIST, SampleSplit
from metric_lightning.data.idx_files import read_idx
from metric_lightning.errors import DataNotFound, UserError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def replica(folder: Path, packed: bool) -> dict[str, np.ndarray]:
    """Write a tiny data set of 40 + 20 images as the four files."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    arrays = {}
    for prefix, size in (("train", 40), ("t10k", 20)):
        arrays[f"{prefix}-images-idx3-ubyte"] = random.integers(0, 256, (size, 28, 28))
        arrays[f"{prefix}-labels-idx1-ubyte"] = np.arange(size) % 10
    for name, array in arrays.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return arrays


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """An empty machine: no files in the usual places, no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def no_network(*_, **__):
        raise OSError("no network in tests")

    for source in (MNIST.source, FashionMNIST.source, KMNIST.source):
        monkeypatch.setattr(source, "download", no_network)
    return tmp_path


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "raw", "KMNIST/raw", "kmnist"])
def test_files_below_root_are_found_and_read_exactly(elsewhere, packed, below):
    arrays = replica(elsewhere / "mine" / below, packed)
    data = KMNIST(root=str(elsewhere / "mine"), split=SampleSplit(10))
    data.prepare_data()
    data.setup()
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set)] == [30, 10, 20]
    batch = next(iter(data.test_dataloader()))
    expected = (arrays["t10k-images-idx3-ubyte"] / 255 - KMNIST.mean) / KMNIST.std
    torch.testing.assert_close(batch.inputs[:, 0], torch.tensor(expected, dtype=torch.float32))
    assert batch.labels.tolist() == arrays["t10k-labels-idx1-ubyte"].tolist()


@pytest.mark.parametrize("place", ["data/MNIST/raw", "data/mnist", "cache/metric_lightning/mnist"])
def test_the_usual_places_are_searched(elsewhere, place):
    replica(elsewhere / place, packed=True)
    data = MNIST(download=False)
    data.prepare_data()
    data.setup()
    assert len(data.test_set) == 20


def test_another_data_sets_files_are_not_taken_for_ours(elsewhere):
    replica(elsewhere / "data/MNIST/raw", packed=True)
    with pytest.raises(DataNotFound):
        KMNIST().prepare_data()


def test_missing_data_are_one_sentence(elsewhere):
    with pytest.raises(DataNotFound) as without_network:
        MNIST().prepare_data()
    message = str(without_network.value)
    assert message.startswith(
        "MNIST is not on this machine and could not be downloaded (no network in tests): "
        "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
        "t10k-labels-idx1-ubyte.gz into"
    )
    assert f"{elsewhere}/cache/metric_lightning/MNIST/raw" in message and "\n" not in message
    with pytest.raises(DataNotFound, match=f"download is off.*{elsewhere}/there/KMNIST/raw"):
        KMNIST(root=str(elsewhere / "there"), download=False).prepare_data()
    with pytest.raises(DataNotFound, match="prepare_data"):
        KMNIST().setup()
    with pytest.raises(DataNotFound, match="apt install dataset-fashion-mnist"):
        FashionMNIST(root=str(elsewhere)).prepare_data()


def test_a_download_is_whole_or_not_there(elsewhere, monkeypatch):
    def half(self):
        Path(self.raw_folder).mkdir(parents=True)
        (Path(self.raw_folder) / "train-images-idx3-ubyte").write_bytes(b"half")
        raise OSError("cable cut")

    monkeypatch.setattr(KMNIST.source, "download", half)
    with pytest.raises(DataNotFound, match="cable cut"):
        KMNIST().prepare_data()
    assert list((elsewhere / "cache/metric_lightning").iterdir()) == []

    monkeypatch.setattr(KMNIST.source, "download", lambda self: replica(Path(self.raw_folder), packed=False) and None)
    data = KMNIST()
    data.prepare_data()
    data.setup()
    assert (elsewhere / "cache/metric_lightning/KMNIST/raw/t10k-labels-idx1-ubyte").is_file()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x00", idx(np.zeros((2, 3)))[:-1], idx(np.zeros(6)), b"<html>not found</html>"],
    ids=["empty", "stub", "short", "other dimensions", "web page"],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_file_is_one_sentence(tmp_path, content, packed):
    path = tmp_path / ("file.gz" if packed else "file")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(UserError, match="is no whole IDX file of 2 dim.*get it again"):
        read_idx(path, 2)


def test_a_file_that_is_not_packed_though_it_says_so(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((2, 3))))[:-9])
    with pytest.raises(UserError, match="can't be read.*get it again"):
        read_idx(path, 2)
    path.write_bytes(b"<html>")
    with pytest.raises(UserError, match="can't be read"):
        read_idx(path, 2)


def test_other_numbers_of_images_and_labels(elsewhere):
    replica(elsewhere / "raw", packed=False)
    (elsewhere / "raw/t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(19)))
    with pytest.raises(UserError, match="20 images, but t10k-labels-idx1-ubyte 19 labels"):
        KMNIST(root=str(elsewhere)).setup()


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_of_debian():
    data = FashionMNIST(download=False)
    data.prepare_data()
    data.setup()
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set)] == [
        54_000,
        6_000,
        10_000,
    ]
    assert data.test_set.labels.bincount().tolist() == [1_000] * 10
    inputs = data.train_eval_set.__getitems__(list(range(0, 54_000, 9))).inputs
    assert abs(float(inputs.mean())) < 0.01 and abs(float(inputs.std()) - 1) < 0.01

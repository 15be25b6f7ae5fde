"""`predict` leaves one whole file, the same from one rank and from two."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from metric_lightning.callbacks import EmbeddingWriter
from metric_lightning.data import Digits, ImageFolder
from metric_lightning.errors import UserError
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.metrics import EmbeddedSet
from metric_lightning.modules import EmbeddingModule
from metric_lightning.modules.collect import on_first_rank
from metric_lightning.networks import EmbeddingNet
from tests.data.digit_pictures import write_digits
from tests.distributed.ranks import on_ranks


def predicted(path: Path, data, module, devices: int = 1, **options):
    trainer = Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp_fork" if devices > 1 else "auto",
        callbacks=[EmbeddingWriter(path)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **options,
    )
    trainer.predict(module, datamodule=data, return_predictions=False)


def module_for(data) -> EmbeddingModule:
    torch.manual_seed(0)
    return EmbeddingModule(EmbeddingNet(3, padding=2, input_shape=data.input_shape), TripletMarginLoss())


def test_two_ranks_write_what_one_writes(tmp_path):
    write_digits(tmp_path / "photos", each=25, classes=3)
    data = ImageFolder(str(tmp_path / "photos"), size=16, grey=True, eval_batch_size=4)
    module = module_for(data)
    for devices in (1, 2):
        predicted(tmp_path / f"{devices}.npz", data, module, devices)
    one, two = (dict(np.load(tmp_path / f"{devices}.npz")) for devices in (1, 2))
    assert len(one["labels"]) == len(data.test_set) and len(data.test_set) % 2 == 1  # ranks hold different numbers
    assert one["indices"].tolist() == list(range(len(data.test_set)))
    assert sorted(one) == ["class_names", "embeddings", "indices", "labels", "names", "paths"]
    for name in one:
        if name == "embeddings":
            np.testing.assert_allclose(two[name], one[name], atol=1e-6)
        else:
            assert two[name].tolist() == one[name].tolist(), name
    module.eval()
    for place, (path, name) in enumerate(zip(one["paths"], one["names"], strict=True)):
        inputs, label = data.test_set[place]
        with torch.no_grad():
            np.testing.assert_allclose(one["embeddings"][place], module(inputs[None])[0], atol=1e-5)
        assert Path(path).is_file() and Path(path).parent.name == name and one["labels"][place] == label


def test_parquet_holds_the_same_as_npz(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("metric_lightning.callbacks.embedding_table._ROWS", 100)  # several blocks
    data = Digits()
    module = module_for(data)
    for suffix in ("npz", "parquet"):
        predicted(tmp_path / f"out.{suffix}", data, module)
    found, expected = parquet.read_table(tmp_path / "out.parquet"), np.load(tmp_path / "out.npz")
    assert found.column_names == ["index", "path", "label", "name", "embedding"]
    np.testing.assert_array_equal(np.array(found["embedding"].to_pylist(), np.float32), expected["embeddings"])
    assert found["label"].to_pylist() == expected["labels"].tolist()
    assert found["index"].to_pylist() == expected["indices"].tolist()
    assert found["name"].to_pylist() == expected["names"].tolist()
    assert set(found["path"].to_pylist()) == {""}


def test_some_batches_only(tmp_path):
    data = Digits(eval_batch_size=50)
    predicted(tmp_path / "out.npz", data, module_for(data), limit_predict_batches=2)
    found = np.load(tmp_path / "out.npz")
    assert found["embeddings"].shape == (len(found["indices"]), 3) and len(found["indices"]) < len(data.test_set)
    assert found["labels"].tolist() == data.test_set.labels[found["indices"]].tolist()


def test_what_can_not_be_written_is_said_before_anything_is_embedded(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="must end in .npz or .parquet"):
        EmbeddingWriter(tmp_path / "out.txt")
    data = Digits()
    module = module_for(data)
    monkeypatch.setattr(EmbeddingModule, "predict_step", lambda *_: pytest.fail("embedded"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        predicted(tmp_path / "file" / "out.npz", data, module)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        predicted(tmp_path / "folder.npz", data, module)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow, .* pip install \"metric_lightning\[parquet\]\""):
        EmbeddingWriter(tmp_path / "out.parquet")


def _gathered() -> list[list[int]]:
    rank = torch.distributed.get_rank()
    batches = [
        EmbeddedSet(torch.full((size, 2), float(rank)), torch.zeros(size).long(), torch.arange(size) * 2 + rank)
        for size in ((3, 1, 2) if rank == 0 else (2,))
    ]
    found = [batch.indices.tolist() for batch in on_first_rank(batches)]
    assert batches == []
    return found


def test_ranks_may_hold_different_numbers_of_batches():
    first, second = on_ranks(2, _gathered)
    assert first == [[0, 2, 4], [1, 3], [0], [0, 2]] and second == []


def test_names_that_parquet_cant_hold_are_refused_before_anything_is_embedded(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    paths = write_digits(tmp_path / "photos", each=6, classes=2)
    for path in paths:
        path.rename(b"%s/caf\xe9 %s".decode(errors="surrogateescape") % (path.parent, path.name))
    data = ImageFolder(str(tmp_path / "photos"), size=16, grey=True)
    module = module_for(data)
    predicted(tmp_path / "out.npz", data, module)
    found = np.load(tmp_path / "out.npz")["paths"].tolist()
    assert len(found) == len(data.test_set) and all(Path(path).is_file() for path in found)
    monkeypatch.setattr(module, "predict_step", lambda *_: pytest.fail("embedded"))
    with pytest.raises(
        UserError, match=r"no UTF-8, which Parquet can't hold: 2 \(.*caf\\xe9 .*rename them .* or give an .n"
    ):
        predicted(tmp_path / "out.parquet", data, module)
    assert not (tmp_path / "out.parquet").exists()

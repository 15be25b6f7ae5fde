import io
import json

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from metric_lightning.callbacks import Projector
from metric_lightning.callbacks.projector_files import metadata_table, sprite_image, write_assets, write_entry
from metric_lightning.errors import UserError
from tests.callbacks.small import HEIGHT, WIDTH, Linear, Quarters, module, trainer
from tests.callbacks.tensorboard_server import Server, tensorboard


def entries(server: Server, run: str) -> list[dict]:
    server.wait_for(lambda: run in json.loads(server.projector("runs")))
    return json.loads(server.projector("info", run=run))["embeddings"]


def names(server: Server, run: str) -> list[str]:
    return [entry["tensorName"] for entry in entries(server, run)]


def test_a_browser_gets_tensor_metadata_and_sprite_of_a_run(tmp_path):
    model, data = module(Linear(embedding_dim=3)), Quarters()
    run = trainer(tmp_path, [Projector(every_n_epochs=1, max_points=40)], max_epochs=2)
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    with tensorboard(tmp_path) as server:
        server.wait_for(lambda: server.json("plugins_listing")["projector"]["enabled"])
        assert names(server, "run/version_0") == [
            "train_and_test:after_test",
            "train_and_val:epoch_00002",
            "train_and_val:epoch_00001",
        ]
        name = "train_and_test:after_test"
        tensor = np.frombuffer(server.projector("tensor", run="run/version_0", name=name), np.float32).reshape(-1, 3)
        lines = server.projector("metadata", run="run/version_0", name=name).decode().splitlines()
        sprite = Image.open(io.BytesIO(server.projector("sprite_image", run="run/version_0", name=name)))
        side = entries(server, "run/version_0")[0]["sprite"]["singleImageDim"]

    header, *rows = (line.split("\t") for line in lines)
    assert header == ["label", "class", "part", "index"]
    assert len(tensor) == len(rows) == 40
    assert {row[1] for row in rows} == {"a\\tb", "c\\nd", "$e$", "_f"}
    # Each row is the sample that it says it is: its embedding, its class, its image.
    sets = {"train": data.train_eval_set, "test": data.test_set}
    for place, (row, embedding) in enumerate(zip(rows, tensor, strict=True)):
        picture, label = sets[row[2]][int(row[3])]
        assert row[1] == data.class_names[label].replace("\t", "\\t").replace("\n", "\\n")
        np.testing.assert_allclose(embedding, model(picture[None])[0].detach().numpy(), rtol=1e-4, atol=1e-5)
        top, left = place // 7 * HEIGHT, place % 7 * HEIGHT
        cell = np.asarray(sprite)[top : top + HEIGHT, left : left + HEIGHT, 0].astype(float)
        assert (cell[:, [0, 5]] == 0).all()  # padded to a square
        correlation = np.corrcoef(cell[:, 1 : 1 + WIDTH].ravel(), picture.numpy().ravel())[0, 1]
        assert correlation > 0.999
    assert side == [HEIGHT, HEIGHT]
    assert {row[2] for row in rows} == {"train", "test"}
    assert sprite.size == (7 * HEIGHT, 7 * HEIGHT)


def test_entries_outlive_a_resume_and_samples_stay_the_same(tmp_path):
    first = trainer(tmp_path, [Projector(every_n_epochs=1)], max_epochs=1)
    first.fit(module(), datamodule=Quarters())
    again = trainer(tmp_path, [Projector(every_n_epochs=1)], max_epochs=2)
    again.fit(module(), datamodule=Quarters(), ckpt_path=first.checkpoint_callback.best_model_path)
    with tensorboard(tmp_path) as server:
        both = entries(server, "run/version_0")
    assert [entry["tensorName"] for entry in both] == ["train_and_val:epoch_00002", "train_and_val:epoch_00001"]
    assert both[0]["metadataPath"] == both[1]["metadataPath"]
    assert both[0]["sprite"] == both[1]["sprite"]


def test_a_snapshot_is_taken_every_k_epochs_and_at_the_end_once(tmp_path):
    run = trainer(tmp_path, [Projector(every_n_epochs=2)], max_epochs=5)
    run.fit(module(), datamodule=Quarters())
    with tensorboard(tmp_path) as server:
        found = names(server, "run/version_0")
    assert [name.rsplit("_", 1)[1] for name in found] == ["00005", "00004", "00002"]


def test_the_end_of_training_is_looked_at_once(tmp_path):
    class Counts(Projector):
        epochs: list[int] = []

        def snapshot(self, trainer, module, stage, epoch):
            self.epochs.append(epoch)

    trainer(tmp_path, [Counts(every_n_epochs=2)], max_epochs=4).fit(module(), datamodule=Quarters())
    assert Counts.epochs == [2, 4]


def test_without_a_validation_set_training_samples_are_shown(tmp_path):
    trainer(tmp_path, [Projector()]).fit(module(), datamodule=Quarters(validation_size=0))
    with tensorboard(tmp_path) as server:
        assert names(server, "run/version_0") == ["train:epoch_00001"]


@pytest.mark.parametrize("logger", ["none", "csv"])
def test_without_tensorboard_nothing_is_written_and_that_is_said_once(tmp_path, caplog, logger):
    loggers = {"none": False, "csv": CSVLogger(tmp_path, name="run", version=0)}
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        run = trainer(tmp_path, [Projector(every_n_epochs=1)], max_epochs=2, logger=loggers[logger])
        run.fit(module(), datamodule=Quarters())
    assert caplog.text.count("Projector writes nothing") == 1
    assert not list(tmp_path.rglob("projector*"))


def test_fast_dev_run_writes_and_says_nothing(tmp_path, caplog):
    trainer(tmp_path, [Projector(every_n_epochs=1)], fast_dev_run=True).fit(module(), datamodule=Quarters())
    assert "Projector" not in caplog.text


def test_the_callback_changes_no_weights(tmp_path):
    weights = []
    for callbacks in ([], [Projector(every_n_epochs=1)]):
        torch.manual_seed(0)
        model = module()
        trainer(tmp_path, callbacks, max_epochs=3).fit(model, datamodule=Quarters())
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)


def test_a_single_column_has_no_header_line():
    assert metadata_table({"class": ["x", "y"]}) == "x\ny\n"
    assert metadata_table({"a": ["x\r"], "b": ["\ty\n"]}) == "a\tb\nx\\r\t\\ty\\n\n"


@pytest.mark.parametrize("n, height, width", [(1, 3, 3), (5, 2, 7), (5, 7, 2), (3, 100, 30), (20_000, 1, 60)])
def test_sprites_are_square_and_fit_a_texture(n, height, width):
    sprite = sprite_image(torch.zeros(n, 3, height, width, dtype=torch.uint8))
    assert sprite.shape[0] == sprite.shape[1] <= 8192
    columns = int(np.ceil(np.sqrt(n)))
    assert sprite.shape[0] // columns <= 64 and sprite.shape[0] % columns == 0


def test_two_dimensions_are_filled_up_for_the_projectors_view(tmp_path):
    assets = write_assets(tmp_path, {"class": ["a", "b"], "index": [0, 1]}, None)
    write_entry(tmp_path, "e:1", torch.tensor([[1.0, 2.0], [3.0, 1e-8]]), assets)
    assert (tmp_path / "projector" / "e_1.tsv").read_text() == "1\t2\t0\n3\t1e-08\t0\n"


def test_an_entry_of_the_same_name_is_replaced(tmp_path):
    assets = write_assets(tmp_path, {"class": ["a"]}, None)
    for name in ("one", "two", "one"):
        write_entry(tmp_path, name, torch.zeros(1, 3), assets)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert [line for line in config.splitlines() if "tensor_name" in line] == [
        '  tensor_name: "one"',
        '  tensor_name: "two"',
    ]


def test_a_broken_config_is_not_overwritten(tmp_path):
    (tmp_path / "projector_config.pbtxt").write_text("embeddings {")
    with pytest.raises(UserError, match="move it away"):
        write_entry(tmp_path, "e", torch.zeros(1, 3), write_assets(tmp_path, {"class": ["a"]}, None))


@pytest.mark.parametrize("bad", [{"max_points": 1}, {"max_points": 100_001}, {"every_n_epochs": 0}])
def test_bad_arguments_are_named(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))}.*{next(iter(bad.values()))}"):
        Projector(**bad)

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from metric_lightning.callbacks import DataCheck
from metric_lightning.callbacks.run_folder import tensorboard_writer
from metric_lightning.data import ArrayDataset, BalancedBatches, ImageFolder, SampleSplit
from metric_lightning.losses import SoftmaxLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNetwork
from tests.callbacks.small import NAMES, Linear, Quarters, images, module, trainer
from tests.callbacks.tensorboard_server import tensorboard


class Flat(EmbeddingNetwork):
    def __init__(self):
        super().__init__(2)

    def make_layers(self, input_shape):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))


class Given(Quarters):
    """Quarters whose images and labels are given."""

    def __init__(self, pixels, labels, test=None):
        super().__init__(test_size=None if test is not None else 40)
        self.pixels, self.labels, self.test = pixels, labels, test

    def load(self):
        part = ArrayDataset(self.pixels, self.labels, NAMES, mean=0.3, std=0.2)
        return part, None if self.test is None else ArrayDataset(*self.test, NAMES, mean=0.3, std=0.2)


def checked(tmp_path, data, network=None, **options) -> DataCheck:
    callback = DataCheck(**options)
    run = trainer(tmp_path, [callback])
    run.fit(module(network), datamodule=data)
    tensorboard_writer(run).close()
    return callback


def test_sound_data_are_passed_in_silence(tmp_path):
    assert checked(tmp_path, Quarters()).named == {}


def test_the_same_image_in_training_and_test_is_named(tmp_path, caplog):
    pixels, labels = images()
    test = (torch.cat([images(seed=1)[0][:40], pixels[:120]]), torch.cat([labels[:40], labels]))
    found = checked(tmp_path, Given(pixels, labels, test)).named
    assert set(found) == {"leakage_test", "leakage_val_test"}
    said = [record.message for record in caplog.records if "measure memory" in record.message]
    assert said == list(found.values())
    assert said[0].startswith("Equal inputs in train and test: 96 (")  # 24 are validation samples
    with tensorboard(tmp_path) as server:
        tags = server.wait_for(lambda: server.json("plugin/text/tags").get("run/version_0"))
    assert set(tags) == {f"diagnosis/{name}/text_summary" for name in found}


def test_duplicates_that_a_split_parts_are_named(tmp_path):
    pixels, labels = images(60)
    found = checked(tmp_path, Given(torch.cat([pixels, pixels]), torch.cat([labels, labels]))).named
    assert {"leakage_val", "leakage_test", "leakage_val_test"} >= set(found) >= {"leakage_val", "leakage_test"}


def test_what_validates_and_tests_is_named_too(tmp_path):
    pixels, labels = images(60)
    found = checked(tmp_path, Given(pixels, labels, (pixels, labels))).named
    assert set(found) == {"leakage_test", "leakage_val_test"}
    assert found["leakage_val_test"].startswith("Equal inputs in val and test: 24 (")


def test_a_class_with_one_sample_is_named(tmp_path):
    pixels, labels = images()
    rare = (labels == 2).nonzero()[:, 0]
    kept = torch.cat([(labels != 2).nonzero()[:, 0], rare[:1]])
    found = checked(tmp_path, Given(pixels[kept], labels[kept], images(seed=1))).named
    assert set(found) == {"single_sample_classes"}
    assert found["single_sample_classes"].startswith("Training classes with one sample, and so no positive pair: 1 ($e")
    callback = DataCheck()
    model = EmbeddingModule(Linear(), SoftmaxLoss())
    trainer(tmp_path, [callback]).fit(model, datamodule=Given(pixels[kept], labels[kept], images(seed=1)))
    assert callback.named == {}  # a loss with class weights learns from it


def test_files_are_named_and_one_of_them_is_said_in_good_grammar(tmp_path):
    for label in ("a", "b"):
        for place in range(12):
            (tmp_path / label).mkdir(exist_ok=True)
            noise = torch.randint(0, 255, (8, 8, 3), dtype=torch.uint8).numpy()
            Image.fromarray(noise).save(tmp_path / label / f"{place:02d}.png")
    kept = SampleSplit(validation_size=4, test_size=4)
    data = ImageFolder(tmp_path, size=8, split=kept, batches=BalancedBatches(n_classes=2, n_samples=2))
    data.setup()
    one, other = data.train_eval_set.name_of(0), data.test_set.name_of(0)
    Path(other).write_bytes(Path(one).read_bytes())
    found = checked(tmp_path, data, network=Flat()).named
    expected = f"Equal inputs in train and test: 1 ({one} ~ {other}); figures measure memory then"
    assert found["leakage_test"].startswith(expected) and set(found) == {"leakage_test"}


def test_too_many_inputs_are_not_loaded_and_that_is_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("metric_lightning.callbacks.data_check.digests_of", lambda dataset: pytest.fail("loaded"))
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        checked(tmp_path, Quarters(), max_inputs=119)
    assert "120 samples are more than its max_inputs=119" in caplog.text


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="max_inputs must be at least 0, got -1"):
        DataCheck(max_inputs=-1)

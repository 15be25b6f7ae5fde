import pytest
import torch

from metric_lightning.callbacks import DataCheck
from metric_lightning.callbacks.run_folder import tensorboard_writer
from metric_lightning.data import ArrayDataset
from tests.callbacks.small import NAMES, Quarters, images, module, trainer
from tests.callbacks.tensorboard_server import tensorboard


class Given(Quarters):
    """Quarters whose images and labels are given."""

    def __init__(self, pixels, labels, test=None):
        super().__init__(test_size=None if test is not None else 40)
        self.pixels, self.labels, self.test = pixels, labels, test

    def load(self):
        part = ArrayDataset(self.pixels, self.labels, NAMES, mean=0.3, std=0.2)
        return part, None if self.test is None else ArrayDataset(*self.test, NAMES, mean=0.3, std=0.2)


def checked(tmp_path, data, **options) -> DataCheck:
    callback = DataCheck(**options)
    run = trainer(tmp_path, [callback])
    run.fit(module(), datamodule=data)
    tensorboard_writer(run).close()
    return callback


def test_sound_data_are_passed_in_silence(tmp_path):
    assert checked(tmp_path, Quarters()).named == {}


def test_the_same_image_in_training_and_test_is_named(tmp_path, caplog):
    pixels, labels = images()
    test = (torch.cat([images(seed=1)[0][:40], pixels[:120]]), torch.cat([labels[:40], labels]))
    found = checked(tmp_path, Given(pixels, labels, test)).named
    assert set(found) == {"leakage_test"}
    said = [record.message for record in caplog.records if "measure memory" in record.message]
    assert said == [found["leakage_test"]]
    assert said[0].startswith("96 inputs of the test set are in the training set too")  # 24 are validation samples
    with tensorboard(tmp_path) as server:
        tags = server.wait_for(lambda: server.json("plugin/text/tags").get("run/version_0"))
    assert tags == ["diagnosis/leakage_test/text_summary"]


def test_duplicates_that_a_split_parts_are_named(tmp_path):
    pixels, labels = images(60)
    found = checked(tmp_path, Given(torch.cat([pixels, pixels]), torch.cat([labels, labels]))).named
    assert set(found) == {"leakage_val", "leakage_test"}


def test_a_class_with_one_sample_is_named(tmp_path):
    pixels, labels = images()
    rare = (labels == 2).nonzero()[:, 0]
    kept = torch.cat([(labels != 2).nonzero()[:, 0], rare[:1]])
    found = checked(tmp_path, Given(pixels[kept], labels[kept], images(seed=1))).named
    assert set(found) == {"single_sample_classes"}
    assert found["single_sample_classes"].startswith("1 training class ($e$) has one sample")


def test_too_many_inputs_are_not_loaded_and_that_is_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("metric_lightning.callbacks.data_check.digests", lambda dataset: pytest.fail("loaded"))
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        checked(tmp_path, Quarters(), max_inputs=119)
    assert "120 samples are more than its max_inputs=119" in caplog.text


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="max_inputs must be at least 0, got -1"):
        DataCheck(max_inputs=-1)

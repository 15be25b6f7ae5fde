import hashlib
import json
import subprocess

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from metric_lightning import __version__
from metric_lightning.callbacks import RunSummary
from metric_lightning.callbacks.run_folder import tensorboard_writer
from metric_lightning.callbacks.run_record import git_state
from tests.callbacks.small import Linear, Quarters, folder_of, module, trainer
from tests.callbacks.tensorboard_server import tensorboard


def read(tmp_path, name: str) -> dict:
    return json.loads((folder_of(tmp_path) / name).read_text())


def test_figures_record_and_table_are_written(tmp_path):
    model, data = module(), Quarters()
    run = trainer(tmp_path, [RunSummary()], max_epochs=2)
    run.fit(model, datamodule=data)
    after_fit = read(tmp_path, "metrics.json")
    (tested,) = run.test(model, datamodule=data, verbose=False)
    figures = read(tmp_path, "metrics.json")
    assert set(after_fit) == {"train", "val", "fit"} and set(figures) == {"train", "val", "fit", "test"}
    assert figures["test"] == pytest.approx({name.removeprefix("test/"): value for name, value in tested.items()})
    assert figures["fit"]["epochs"] == 2 and figures["fit"]["steps"] == run.global_step
    assert figures["fit"]["seconds"] > 0
    assert figures["fit"]["best_checkpoint"] == run.checkpoint_callback.best_model_path
    table = (folder_of(tmp_path) / "summary.txt").read_text()
    assert "knn_accuracy" in table and f"{figures['test']['knn_accuracy']:.4f}" in table

    record = read(tmp_path, "run.json")
    assert record["packages"]["metric_lightning"] == __version__
    assert record["packages"]["torch"] == torch.__version__.split("+")[0]
    assert record["data"] == data.fingerprint()
    assert record["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert not list(folder_of(tmp_path).glob(".*"))  # nothing half-written is left


def test_validate_adds_to_the_figures_of_the_run(tmp_path):
    model, data = module(), Quarters()
    trainer(tmp_path, [RunSummary()]).fit(model, datamodule=data)
    trainer(tmp_path, [RunSummary()]).validate(model, datamodule=data, verbose=False)
    figures = read(tmp_path, "metrics.json")
    assert "knn_accuracy" in figures["val"] and "fit" in figures


def test_figures_name_the_checkpoint_they_were_measured_with(tmp_path):
    model, data = module(), Quarters()
    run = trainer(tmp_path, [RunSummary()])
    run.fit(model, datamodule=data)
    assert "measured_with" not in read(tmp_path, "metrics.json")  # those of the weights in memory
    best = run.checkpoint_callback.best_model_path
    run.validate(model, datamodule=data, ckpt_path=best, verbose=False)
    run.test(model, datamodule=data, ckpt_path=best, verbose=False)
    with open(best, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert read(tmp_path, "metrics.json")["measured_with"] == {"val": digest, "test": digest}
    # Another process measures other weights.
    trainer(tmp_path, [RunSummary()]).validate(model, datamodule=data, verbose=False)
    assert read(tmp_path, "metrics.json")["measured_with"] == {"test": digest}


def hparams(server) -> tuple[dict, list]:
    experiment = server.wait_for(lambda: server.json("plugin/hparams/experiment", request="{}").get("hparamInfos"))
    statuses = [f"STATUS_{status}" for status in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
    request = {"allowedStatuses": statuses, "startIndex": 0, "sliceSize": 10}
    groups = server.json("plugin/hparams/session_groups", request=json.dumps(request))
    return {info["name"]: info for info in experiment}, groups["sessionGroups"]


def test_tensorboard_lists_hyperparameters_of_all_runs_with_their_final_figures(tmp_path):
    expected = {}
    for version, dimensions in enumerate((2, 3)):
        model, data = module(Linear(dimensions)), Quarters()
        logger = TensorBoardLogger(tmp_path, name="run", version=version, default_hp_metric=False)
        run = trainer(tmp_path, [RunSummary()], logger=logger)
        run.fit(model, datamodule=data)
        (figures,) = run.test(model, datamodule=data, verbose=False)
        expected[float(dimensions)] = figures["test/knn_accuracy"]
        tensorboard_writer(run).close()
    with tensorboard(tmp_path) as server:
        server.wait_for(lambda: len(server.json("runs")) == 2)
        infos, groups = hparams(server)
    assert {"model/loss", "model/loss/margin", "data/batches/n_samples", "trainer/max_epochs"} <= set(infos)
    found = {}
    for group in groups:
        values = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
        found[group["hparams"]["model/network/embedding_dim"]] = values["test/knn_accuracy"]
        assert group["hparams"]["model/loss"] == "TripletMarginLoss"
        assert group["sessions"][0]["status"] == "STATUS_SUCCESS"
    assert found == pytest.approx(expected)


def test_a_run_that_fails_is_listed_as_failed(tmp_path):
    class Fails(RunSummary):
        def on_train_epoch_end(self, trainer, pl_module):
            raise RuntimeError("no")

    run = trainer(tmp_path, [Fails()])
    with pytest.raises(RuntimeError):
        run.fit(module(), datamodule=Quarters())
    tensorboard_writer(run).close()
    with tensorboard(tmp_path) as server:
        _, groups = hparams(server)
    assert groups[0]["sessions"][0]["status"] == "STATUS_FAILURE"


def test_a_folder_is_enough_and_without_one_that_is_said_once(tmp_path, caplog):
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        callback = RunSummary()
        for logger in (CSVLogger(tmp_path, name="run", version=0), False):
            run = trainer(tmp_path, [callback], logger=logger)
            run.fit(model := module(), datamodule=(data := Quarters()))
            run.test(model, datamodule=data, verbose=False)
    assert read(tmp_path, "metrics.json")["test"]
    assert caplog.text.count("RunSummary writes nothing") == 1


def test_git_state_tells_the_commit_and_changed_files(tmp_path):
    assert git_state(tmp_path) is None
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "x").write_text("1")
    for arguments in (["init", "-q"], ["add", "x"], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    state = git_state(tmp_path)
    assert len(state["commit"]) == 40 and state["changed_files"] == []
    (tmp_path / "x").write_text("2")
    assert git_state(tmp_path)["changed_files"] == [" M x"]

"""The command line as a user meets it: runs, checkpoints that are enough, and errors of one sentence."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Trainer

from metric_lightning.cli import main
from metric_lightning.command_line.failures import sentence_of

CONFIG = """
seed_everything: 0
data:
  class_path: metric_lightning.data.Digits
  init_args:
    batches: {class_path: metric_lightning.data.BalancedBatches, init_args: {n_classes: 10, n_samples: 6}}
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network: {class_path: metric_lightning.networks.EmbeddingNet, init_args: {embedding_dim: 2, padding: 2}}
    loss:
      class_path: metric_lightning.losses.TripletMarginLoss
      init_args: {margin: 1.0, miner: {class_path: metric_lightning.miners.SemiHardNegative}}
trainer:
  {max_epochs: 1, limit_train_batches: 8, accelerator: cpu, enable_progress_bar: false, enable_model_summary: false}
default_callbacks: false
"""


FIT = ["fit", "--config", "digits.yaml"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A run's folder of files, to be copied by the tests that need a checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    before = Path.cwd()
    os.chdir(folder)
    try:
        (folder / "digits.yaml").write_text(CONFIG)
        main(["fit", "--config", "digits.yaml"])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch):
    shutil.copytree(finished_run, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy" / "lightning_logs" / "digits" / "version_0"


def refusal(arguments, capsys) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    return line


def test_fit_leaves_config_checkpoints_and_evaluates_the_best(run, capsys):
    assert {"config.yaml", "checkpoints"} <= {path.name for path in run.iterdir()}
    assert (run / "checkpoints" / "last.ckpt").is_file()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 1
    assert "Namespace" not in (run / "config.yaml").read_text()


def test_a_checkpoint_alone_is_enough_for_test(run, tmp_path, capsys):
    moved = tmp_path / "elsewhere" / "moved.ckpt"
    moved.parent.mkdir()
    shutil.move(run / "checkpoints" / "last.ckpt", moved)
    shutil.rmtree(run.parent.parent)
    main(["test", "--ckpt_path", str(moved)])
    figures = json.loads((moved.parent / "test.json").read_text())
    assert {"test/knn_accuracy", "test/map_at_r", "test/precision_at_1", "test/r_precision"} <= figures.keys()
    assert f"{figures['test/knn_accuracy']:.4f}" in capsys.readouterr().out
    assert not Path("config.yaml").exists()


def test_validate_agrees_with_the_figures_of_fit(run):
    main(["validate", "--ckpt_path", str(run / "checkpoints" / "last.ckpt")])
    figures = json.loads((run / "validate.json").read_text())
    best = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    (score,) = [state["best_model_score"] for name, state in best.items() if "BestCheckpoint" in name]
    assert figures["val/map_at_r"] == pytest.approx(float(score), abs=1e-6)


def test_predict_writes_every_sample_once(run):
    main(["predict", "--ckpt_path", str(run / "checkpoints" / "last.ckpt"), "--output", "out.npz"])
    with np.load("out.npz", allow_pickle=False) as found:
        assert found["embeddings"].shape == (len(found["labels"]), 2)
        assert sorted(found["indices"]) == list(range(len(found["labels"])))
        assert list(found["class_names"]) == [str(digit) for digit in range(10)]


def test_a_run_goes_on_in_its_own_folder(run, capsys):
    main(["fit", "--config", "digits.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "2"])
    assert [path.name for path in run.parent.iterdir()] == ["version_0"]
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1


def test_the_checkpoint_of_another_architecture_is_refused(run, capsys):
    path = str(run / "checkpoints" / "last.ckpt")
    line = refusal(
        [
            "test",
            "--config",
            "digits.yaml",
            "--ckpt_path",
            path,
            "--model.init_args.network.init_args.embedding_dim",
            "3",
        ],
        capsys,
    )
    assert "another architecture" in line and "[2, 256]" in line and "[3, 256]" in line


def test_a_checkpoint_cut_short_is_refused_and_another_named(run, capsys):
    whole = run / "checkpoints" / "last.ckpt"
    cut = run / "checkpoints" / "cut.ckpt"
    cut.write_bytes(whole.read_bytes()[:50_000])
    line = refusal(["test", "--ckpt_path", str(cut)], capsys)
    assert f"{cut} can't be read as a checkpoint: it is cut short or damaged" in line and "last.ckpt" in line


def test_the_newest_whole_checkpoint_is_last(run):
    from metric_lightning.checkpoints import newest_checkpoint

    whole = run / "checkpoints" / "last.ckpt"
    cut = run / "checkpoints" / "newer.ckpt"
    cut.write_bytes(whole.read_bytes()[:50_000])
    os.utime(cut, (2**31, 2**31))
    assert newest_checkpoint(run) != cut


def test_a_file_that_is_no_checkpoint_is_refused(folder, capsys):
    torch.save({"weights": torch.zeros(1)}, "other.ckpt")
    assert "it has no state_dict" in refusal(["test", "--ckpt_path", "other.ckpt"], capsys)
    Path("text.ckpt").write_text(CONFIG)
    assert "text.ckpt is no checkpoint: it is no file that torch.save" in refusal(
        ["test", "--ckpt_path", "text.ckpt"], capsys
    )
    Path("empty.ckpt").touch()
    assert "empty.ckpt is empty and no checkpoint" in refusal(["test", "--ckpt_path", "empty.ckpt"], capsys)
    assert "is a folder and no checkpoint" in refusal(["test", "--ckpt_path", str(folder)], capsys)
    assert "there is no checkpoint gone.ckpt" in refusal(["test", "--ckpt_path", "gone.ckpt"], capsys)
    assert "no whole checkpoint" in refusal(["fit", "--config", "digits.yaml", "--ckpt_path", "last"], capsys)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("losses.TripletMarginLoss", "losses.TripletMarginLos"),
            "did you mean metric_lightning.losses.TripletMarginLoss?",
        ),
        (
            ("miners.SemiHardNegative", "miner.SemiHardNegative"),
            "there is no class metric_lightning.miner.SemiHardNegative",
        ),
        (("margin:", "marginn:"), "has no argument 'marginn'; did you mean margin?"),
        (
            ("margin: 1.0", "margin: wide"),
            "argument 'margin' of metric_lightning.losses.TripletMarginLoss: expected a float",
        ),
        (("margin: 1.0", "margin: -1"), "TripletMarginLoss: margin must be a finite number at least 0, got -1.0"),
        (("model:", "modle:"), "there is no key 'modle'; did you mean model?"),
        (("max_epochs", "max_epoch"), "max_epochs"),
        (("n_classes: 10", "n_classes: 11"), "n_classes is 11, but the training data has 10 classes"),
        (
            ("margin: 1.0", "margin: 0.0"),
            "SemiHardNegative picks costs nothing in a loss of margin 0",
        ),
        (("embedding_dim: 2", "embedding_dim: 0"), "embedding_dim must be at least 1, got 0"),
        (("metric_lightning.data.Digits", "metric_lightning.data.Digit"), "did you mean metric_lightning.data.Digits?"),
    ],
)
def test_a_mistake_in_the_config_gets_its_sentence(folder, capsys, change, sentence):
    assert change[0] in CONFIG
    Path("digits.yaml").write_text(CONFIG.replace(*change, 1))
    line = refusal(["fit", "--config", "digits.yaml"], capsys)
    assert sentence in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fitt"], "there is no command 'fitt'; did you mean fit?"),
        (["fit"], "data, model not given: name a whole run with --config FILE.yaml"),
        (["fit", "--config", "gone.yaml"], "gone.yaml"),
        (["fit", "--config", "digits.yaml", "--trainer.max_epoch", "3"], "did you mean --trainer.max_epochs?"),
        (["fit", "--config", "digits.yaml", "--trainer.max_epochs", "many"], "max_epochs"),
        (
            ["fit", "--config", "digits.yaml", "--model.optimizer", "Adam", "--model.optimizer.lr", "-1"],
            "adam.Adam refuses its arguments: Invalid learning rate: -1.0",
        ),
        ([], "no command is given; see --help"),
        (["test", "--ckpt_path", "gone"], "there is no checkpoint gone"),
        ([*FIT, "--experiment", "../out"], "--experiment '../out' must name a folder below lightning_logs/"),
        ([*FIT, "--experiment", "/out"], "--experiment '/out' must name a folder below lightning_logs/"),
        ([*FIT, "--output", "x.npz"], "--output is for predict alone, and fit has no use for it; leave it out"),
        ([*FIT, "--seed_everything", "-1"], "seed_everything: -1 is not in bounds"),
        ([*FIT, "--trainer.strategy", "none"], "trainer: You selected an invalid strategy name: `strategy='none'`"),
        ([*FIT, "--trainer.check_val_every_n_epoch", "0"], "trainer.check_val_every_n_epoch must be at least 1"),
        ([*FIT, "--trainer.gradient_clip_val", "-1"], "trainer.gradient_clip_val must be at least 0"),
    ],
)
def test_a_mistake_on_the_command_line_gets_its_sentence(folder, capsys, arguments, sentence):
    assert sentence in refusal(arguments, capsys)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("command", ["test", "export"])
def test_a_checkpoint_that_would_run_code_is_not_read_and_said_to_be_so(folder, capsys, command):
    torch.save({"state_dict": Harmful()}, "harmful.ckpt")
    line = refusal([command, "--ckpt_path", "harmful.ckpt"], capsys)
    assert re.search(r"harmful.ckpt is not read: it holds \w+\.mkdir, which is no plain data but code", line)
    assert not Path("harm").exists()


def test_a_file_where_runs_should_land_gets_its_sentence(folder, capsys):
    Path("lightning_logs").write_text("mine")
    assert "a file is where a folder should be" in refusal(FIT, capsys)
    assert Path("lightning_logs").read_text() == "mine"


def test_missing_data_are_asked_for(folder, capsys, monkeypatch):
    text = CONFIG.replace("metric_lightning.data.Digits", "metric_lightning.data.KMNIST").replace(
        "padding: 2", "padding: 0"
    )
    Path("digits.yaml").write_text(text)
    line = refusal(["fit", "--config", "digits.yaml", "--data.init_args.root", "nowhere"], capsys)
    assert "KMNIST" in line or "nowhere" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_run_folder_gets_its_sentence(folder, capsys):
    (folder / "lightning_logs").mkdir(mode=0o500)
    assert "no permission" in refusal(["fit", "--config", "digits.yaml"], capsys)


def test_a_full_disk_gets_its_sentence(folder, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("metric_lightning.checkpoints.torch.save", full)
    line = refusal(["fit", "--config", "digits.yaml"], capsys)
    assert "No space left on device" in line and ".ckpt" in line


def test_a_refused_run_leaves_nothing(folder, capsys):
    before = sorted(folder.rglob("*"))
    refusal(["fit", "--config", "digits.yaml", "--data.batches.n_classes", "11"], capsys)
    assert sorted(folder.rglob("*")) == before


def test_a_refused_run_that_was_gone_on_with_leaves_what_was_there(run, capsys):
    (run / "notes.txt").write_text("mine")
    (run / "run.json").write_text("{}")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    more = ["--ckpt_path", "last", "--trainer.max_epochs", "2", "--default_callbacks", "true"]
    refusal(["fit", "--config", "digits.yaml", *more, "--data.batches.n_classes", "11"], capsys)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_fault_of_the_program_keeps_its_traceback(folder, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("metric_lightning.modules.EmbeddingModule.batch_loss", broken)
    with pytest.raises(ZeroDivisionError):
        main(["fit", "--config", "digits.yaml"])


def test_nothing_is_advertised(folder, caplog):
    main(["fit", "--config", "digits.yaml", "--trainer.max_epochs", "0"])
    said = [record.getMessage() for record in caplog.records]
    assert any("GPU available" in message for message in said)
    assert not any("Tip:" in message for message in said)


def test_configs_merge_and_the_command_line_overrides(folder, capsys):
    Path("more.yaml").write_text("trainer: {max_epochs: 3}\nmodel: {init_args: {loss_lr_scale: 2.0}}\n")
    with pytest.raises(SystemExit):
        main(["fit", "--config", "digits.yaml", "--config", "more.yaml", "--trainer.max_epochs", "4", "--print_config"])
    config = yaml.safe_load(re.sub(r"^#.*\n", "", capsys.readouterr().out, flags=re.MULTILINE))
    assert config["trainer"]["max_epochs"] == 4
    assert config["model"]["init_args"]["loss_lr_scale"] == 2.0
    assert config["model"]["init_args"]["loss"]["init_args"]["margin"] == 1.0


def test_a_plain_number_of_a_transform_is_kept_in_the_config(folder, capsys):
    affine = "{class_path: torchvision.transforms.v2.RandomAffine, init_args: {degrees: 10}}"
    with pytest.raises(SystemExit):
        main(["fit", "--config", "digits.yaml", f"--data.init_args.augment=[{affine}]", "--print_config"])
    config = yaml.safe_load(re.sub(r"^#.*\n", "", capsys.readouterr().out, flags=re.MULTILINE))
    assert config["data"]["init_args"]["augment"][0]["init_args"]["degrees"] == 10


def test_the_saved_config_repeats_the_run(run, tmp_path, monkeypatch):
    config = run / "config.yaml"
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.chdir(again)
    main(["fit", "--config", str(config)])
    (found,) = again.rglob("last.ckpt")
    first = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    second = torch.load(found, weights_only=True)["state_dict"]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_help_says_which_callbacks_are_default(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    words = "leave out all default callbacks but the checkpoints: summary, data check, diagnosis, figures, mislabelled"
    assert words in " ".join(capsys.readouterr().out.split())


def test_another_projects_parts_are_named_in_yaml(tmp_path, monkeypatch, capsys):
    example = Path(__file__).parents[2] / "examples" / "shapes"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(example))
    main(["fit", "--config", str(example / "config.yaml"), "--trainer.enable_progress_bar", "false"])
    assert "knn_accuracy" in capsys.readouterr().out
    (checkpoint,) = [path for path in tmp_path.rglob("*.ckpt") if path.name != "last.ckpt"]
    main(["test", "--ckpt_path", str(checkpoint)])
    figures = json.loads((checkpoint.parent.parent / "test.json").read_text())
    assert figures["test/knn_accuracy"] > 0.9


def test_a_prediction_of_nothing_is_refused(run, capsys):
    arguments = ["predict", "--ckpt_path", str(run / "checkpoints/last.ckpt"), "--output", "x.npz"]
    split = "{class_path: metric_lightning.data.SampleSplit, init_args: {test_size: 0}}"
    for option in (["--trainer.limit_predict_batches", "0"], ["--data.init_args.split", split]):
        line = refusal([*arguments, *option], capsys)
        assert "there is nothing to embed, and x.npz isn't written: give data whose test part has samples" in line
    assert not Path("x.npz").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accelerator": "foo"}, "You selected an invalid accelerator name: `accelerator='foo'`"),
        ({"accelerator": "cpu", "devices": -3}, "should be an int > 0"),
    ],
)
def test_a_device_that_the_trainer_refuses_is_one_sentence(options, words):
    with pytest.raises((ValueError, TypeError)) as error:
        Trainer(**options)
    assert words in sentence_of(error.value)

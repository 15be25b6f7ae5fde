"""Going on with a run: which checkpoint that is, and that what the run's first process wrote stays."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from metric_lightning.checkpoints import CONFIG as CONFIG_KEY
from metric_lightning.cli import main
from metric_lightning.command_line.run_folder import last_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")

CONFIG = """
seed_everything: 0
data:
  class_path: metric_lightning.data.Digits
  init_args:
    batches: {class_path: metric_lightning.data.BalancedBatches, init_args: {n_classes: 10, n_samples: 4}}
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network: {class_path: metric_lightning.networks.EmbeddingNet, init_args: {embedding_dim: 2, padding: 2}}
    loss: {class_path: metric_lightning.losses.TripletMarginLoss}
trainer:
  max_epochs: 1
  limit_train_batches: 2
  accelerator: cpu
  enable_progress_bar: false
  enable_model_summary: false
  callbacks: [{class_path: metric_lightning.callbacks.RunSummary}]
default_callbacks: false
checkpoint: {save_top_k: 2}
"""
FIT = ["fit", "--config", "digits.yaml"]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    before = Path.cwd()
    os.chdir(folder)
    try:
        Path("digits.yaml").write_text(CONFIG)
        main(FIT)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch) -> Path:
    """The folder of a run of one epoch, `lightning_logs/digits/version_0`, in the folder where its config lies."""
    shutil.copytree(finished_run, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Path("lightning_logs/digits/version_0")


def last(run: Path) -> dict:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def settings(file: Path) -> dict:
    return yaml.safe_load(file.read_text())


def refusal(arguments: list[str], capsys) -> str:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def assert_same_weights(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def best_of(run: Path) -> Path:
    (best,) = (path for path in (run / "checkpoints").glob("*.ckpt") if path.name != "last.ckpt")
    return best


def spoil_last(run: Path) -> None:
    """Let the last checkpoint have worse weights than the best, as a run that went on too long has."""
    content = last(run)
    for value in content["state_dict"].values():
        value.zero_()
    torch.save(content, run / "checkpoints" / "last.ckpt")


def test_saved_configs_of_a_resumed_run_train_anew_to_the_same_weights(run):
    first_text, first_weights = (run / "config.yaml").read_text(), last(run)["state_dict"]
    main([*FIT, "--ckpt_path", "last", "--trainer.max_epochs", "2"])
    resumed = run / "config_resumed_1.yaml"
    assert (run / "config.yaml").read_text() == first_text
    resumed_weights = last(run)["state_dict"]
    for file, epochs, weights in ((run / "config.yaml", 1, first_weights), (resumed, 2, resumed_weights)):
        saved = settings(file)
        assert saved["ckpt_path"] is None and saved["trainer"]["logger"] is None
        assert saved["trainer"]["max_epochs"] == epochs
        main(["fit", "--config", str(file)])
        assert_same_weights(last(run.parent / f"version_{epochs}")["state_dict"], weights)
    within = yaml.safe_load(last(run)[CONFIG_KEY])
    assert within["ckpt_path"] is None and within["trainer"]["logger"] is None
    assert_same_weights(last(run)["state_dict"], resumed_weights)


def test_a_resume_with_the_same_settings_leaves_one_config(run):
    main([*FIT, "--ckpt_path", "last"])
    assert [path.name for path in run.glob("*.yaml") if path.name != "hparams.yaml"] == ["config.yaml"]
    for _ in range(2):
        main([*FIT, "--ckpt_path", "last", "--trainer.max_epochs", "2"])
    assert [path.name for path in run.glob("config_resumed_*")] == ["config_resumed_1.yaml"]


def test_a_logger_of_the_users_own_is_saved(run):
    logger = "{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: own, name: x}}"
    main([*FIT, f"--trainer.logger={logger}"])
    saved = settings(Path("own/x/version_0/config.yaml"))
    assert saved["trainer"]["logger"]["init_args"]["save_dir"] == "own"


def test_the_record_of_the_first_process_stays(run):
    first = json.loads((run / "run.json").read_text())
    for epochs in ("2", "3"):
        main([*FIT, "--ckpt_path", "last", "--trainer.max_epochs", epochs])
    record = json.loads((run / "run.json").read_text())
    resumed = record.pop("resumed")
    assert record == first
    commands = [later["command"] for later in resumed]
    assert [command[command.index("--trainer.max_epochs") + 1] for command in commands] == ["2", "3"]
    assert all(later["checkpoint"] == str(run / "checkpoints" / "last.ckpt") for later in resumed)


def test_best_is_the_best_and_not_the_last(run, capsys):
    spoil_last(run)
    best = best_of(run)
    main(["test", "--ckpt_path", str(best)])
    expected = json.loads((run / "test.json").read_text())
    main(["test", "--ckpt_path", str(run / "checkpoints" / "last.ckpt")])
    assert json.loads((run / "test.json").read_text()) != expected
    for arguments in (["--experiment", "digits"], ["--config", "digits.yaml"]):
        (run / "test.json").unlink()
        capsys.readouterr()
        main(["test", *arguments, "--ckpt_path", "best"])
        assert json.loads((run / "test.json").read_text()) == expected
        assert f"--ckpt_path best is {best} (version_0, step 2)" in capsys.readouterr().out


def test_a_best_that_is_gone_or_unknown_gets_its_sentence(run, capsys):
    best_of(run).unlink()
    line = refusal(["test", "--experiment", "digits", "--ckpt_path", "best"], capsys)
    assert "--ckpt_path best" in line and "is gone" in line
    content = last(run)
    content["callbacks"] = {}
    torch.save(content, run / "checkpoints" / "last.ckpt")
    line = refusal(["test", "--experiment", "digits", "--ckpt_path", "best"], capsys)
    assert "names no best checkpoint" in line


def test_last_is_of_the_experiment_itself_and_not_of_one_nested_in_it(run):
    nested = run.parent / "fast" / "version_0"
    shutil.copytree(run, nested)
    os.utime(nested / "checkpoints" / "last.ckpt", (2**31, 2**31))
    assert last_checkpoint("digits") == run / "checkpoints" / "last.ckpt"
    assert last_checkpoint("digits/fast") == nested / "checkpoints" / "last.ckpt"


def test_last_within_a_config_file_goes_on(run):
    Path("digits.yaml").write_text(f"{CONFIG}ckpt_path: last\n")
    main([*FIT, "--trainer.max_epochs", "2"])
    assert [path.name for path in run.parent.iterdir()] == ["version_0"]
    assert last(run)["global_step"] == 4


def test_last_is_of_the_experiment_that_the_config_file_names(run):
    run.parent.rename("lightning_logs/named")
    Path("digits.yaml").write_text(f"{CONFIG}experiment: named\n")
    main([*FIT, "--ckpt_path", "last", "--trainer.max_epochs", "2"])
    assert [path.name for path in Path("lightning_logs").rglob("version_*")] == ["version_0"]
    assert last(Path("lightning_logs/named/version_0"))["global_step"] == 4


@pytest.mark.parametrize("swapped", [False, True])
def test_last_goes_with_a_saved_config_in_any_order(run, swapped):
    arguments = [["--config", str(run / "config.yaml")], ["--ckpt_path", "last"]]
    first, second = reversed(arguments) if swapped else arguments
    main(["fit", *first, *second, "--trainer.max_epochs", "2"])
    assert [path.name for path in Path("lightning_logs").rglob("version_*")] == ["version_0"]
    assert last(run)["global_step"] == 4


def test_a_checkpoint_alone_goes_on_with_all_its_settings(run):
    main(["fit", "--ckpt_path", str(run / "checkpoints" / "last.ckpt"), "--trainer.max_epochs", "2"])
    assert [path.name for path in Path("lightning_logs").rglob("version_*")] == ["version_0"]
    first, second = settings(run / "config.yaml"), settings(run / "config_resumed_1.yaml")
    assert second["trainer"].pop("max_epochs") == 2 and first["trainer"].pop("max_epochs") == 1
    assert first == second and second["checkpoint"]["save_top_k"] == 2 and second["default_callbacks"] is False


def test_a_moved_checkpoint_alone_goes_on_under_the_name_of_its_experiment(run):
    shutil.move(run / "checkpoints" / "last.ckpt", "moved.ckpt")
    main(["fit", "--ckpt_path", "moved.ckpt", "--trainer.max_epochs", "2"])
    assert last(Path("lightning_logs/digits/version_1"))["global_step"] == 4


def test_last_tells_what_it_goes_on_from(run, capsys):
    for version in (1, 10):
        shutil.copytree(run, run.parent / f"version_{version}")
        for path in (run.parent / f"version_{version}").rglob("*.ckpt"):
            path.write_bytes(path.read_bytes()[:1000])
    (run.parent / "version_2").mkdir()
    main([*FIT, "--ckpt_path=last"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("--ckpt_path last")]
    assert lines == [
        f"--ckpt_path last is {run}/checkpoints/last.ckpt (version_0, step 2); newer, but without a whole checkpoint: "
        "version_1, version_2, version_10"
    ]


def test_a_damaged_checkpoint_named_in_a_config_file_gets_its_sentence(run, capsys):
    Path("cut.ckpt").write_bytes((run / "checkpoints" / "last.ckpt").read_bytes()[:1000])
    Path("digits.yaml").write_text(f"{CONFIG}ckpt_path: cut.ckpt\n")
    assert "cut.ckpt can't be read as a checkpoint" in refusal(FIT, capsys)


@pytest.mark.parametrize("command", ["fit", "test"])
def test_a_file_before_its_saved_config_counts(run, command):
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    main([command, "--ckpt_path", checkpoint, "--config", str(run / "config.yaml")])
    assert [path.name for path in Path("lightning_logs").rglob("version_*")] == ["version_0"]
    assert command == "fit" or (run / "test.json").exists()


def test_a_newer_version_with_a_whole_checkpoint_is_not_said_to_lack_one(run, capsys):
    shutil.copytree(run, run.parent / "version_1")
    for path in (run / "checkpoints").glob("*.ckpt"):
        os.utime(path, (2**31, 2**31))
    main([*FIT, "--ckpt_path=last"])
    assert "without a whole" not in capsys.readouterr().out


def test_best_is_that_of_the_default_callback(run, capsys):
    content = last(run)
    content["callbacks"] = {"ModelCheckpoint{}": {"best_model_path": "last.ckpt"}} | content["callbacks"]
    torch.save(content, run / "checkpoints" / "last.ckpt")
    best = best_of(run)
    main(["test", "--ckpt_path", "best", "--experiment", "digits"])
    assert str(best) in capsys.readouterr().out


def test_a_tensorboard_logger_of_the_users_own_is_saved(run):
    arguments = "{save_dir: lightning_logs, name: mine, flush_secs: 7}"
    logger = f"{{class_path: lightning.pytorch.loggers.TensorBoardLogger, init_args: {arguments}}}"
    main([*FIT, f"--trainer.logger={logger}"])
    saved = settings(Path("lightning_logs/mine/version_0/config.yaml"))
    assert saved["trainer"]["logger"]["init_args"]["flush_secs"] == 7


def test_a_later_null_undoes_last(run):
    Path("digits.yaml").write_text(f"{CONFIG}ckpt_path: last\n")
    Path("anew.yaml").write_text("ckpt_path: null\nexperiment: digits\n")
    main([*FIT, "--config", "anew.yaml"])
    assert sorted(path.name for path in run.parent.iterdir()) == ["version_0", "version_1"]


def test_a_run_begun_anew_in_the_same_folder_writes_its_config(run):
    logger = "{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: own, name: x, version: 0}}"
    for epochs in ("1", "2"):
        main([*FIT, f"--trainer.logger={logger}", "--trainer.max_epochs", epochs])
    assert settings(Path("own/x/version_0/config.yaml"))["trainer"]["max_epochs"] == 2
    assert "resumed" not in json.loads(Path("own/x/version_0/run.json").read_text())


def test_an_experiment_named_before_a_saved_config_counts(run):
    main(["fit", "--experiment", "other", "--config", str(run / "config.yaml")])
    assert Path("lightning_logs/other/version_0/config.yaml").exists()
    assert [path.name for path in run.parent.iterdir()] == ["version_0"]

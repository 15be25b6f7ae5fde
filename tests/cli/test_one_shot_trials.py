"""Omniglot from the command line: `fit`, then `test` from the checkpoint alone, print the figure of the trials."""

import json
import sys
from pathlib import Path

import pytest

from metric_lightning.cli import main
from tests.data.omniglot_replica import write_set, write_trials

EXPERIMENTS = Path(__file__).parents[2] / "experiments/omniglot"


@pytest.mark.parametrize("method", ["pixels", "one_shot"])
def test_fit_and_test_print_the_accuracy_of_the_trials(method, tmp_path, monkeypatch, capsys):
    write_set(tmp_path / "data/images_background", dict.fromkeys("ABCD", 12), drawers=8)
    write_trials(tmp_path / "trials", runs=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["metric-lightning"])
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    arguments = ["--trainer.limit_train_batches=1", "--trainer.max_epochs=1", "--default_callbacks=false"]
    arguments += ["--data.init_args.root=data", "--data.init_args.trials=trials", "--trainer.accelerator=cpu"]
    main(["fit", "--config", str(EXPERIMENTS / f"{method}.yaml"), *arguments, "--trainer.enable_progress_bar=false"])
    assert "one_shot_accuracy " in capsys.readouterr().out
    folder = tmp_path / f"lightning_logs/omniglot/{method}/version_0"
    main(["test", "--ckpt_path", str(folder / "checkpoints/last.ckpt")])
    out = capsys.readouterr().out
    figures = json.loads((folder / "test.json").read_text())
    assert "one_shot_accuracy " in out and "one_shot_accuracy_interval " in out
    if method == "pixels":
        assert figures["test/one_shot_accuracy"] == 1.0 and figures["test/one_shot_accuracy_interval"] == 0.0
    assert 0 <= figures["test/one_shot_accuracy"] <= 1

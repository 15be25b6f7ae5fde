"""The one-shot verification net: the paper's own net takes a step; a small one learns, is kept and judges pairs."""

import functools
import json
import sys
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything

from experiments.application_pictures import one_shot
from metric_lightning.callbacks import LayerwiseL2
from metric_lightning.cli import main
from metric_lightning.data import Digits, Omniglot, PairBatches
from metric_lightning.losses import PairCrossEntropyLoss
from metric_lightning.metrics import VerificationMetrics
from metric_lightning.modules import SiameseModule
from metric_lightning.networks import EmbeddingNet, KochNet
from tests.data.omniglot_replica import write_set, write_trials

EXPERIMENTS = Path(__file__).parents[2] / "experiments/omniglot"


def test_the_papers_net_takes_a_training_step(tmp_path):
    write_set(tmp_path / "images_background", {"A": 2, "B": 2}, drawers=2)
    seed_everything(0)
    data = Omniglot(str(tmp_path), validation_alphabets=1, size=105, batches=PairBatches(batch_size=1))
    module = SiameseModule(KochNet(), PairCrossEntropyLoss(), optimizer=functools.partial(torch.optim.SGD, lr=1e-3))
    trainer = Trainer(
        max_steps=1, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, use_distributed_sampler=False,
        callbacks=[LayerwiseL2({"network": 1e-4, "loss.distance": 1e-3})],
    )  # fmt: skip
    data.setup()
    module.build(data.num_classes, data.input_shape)
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    assert sum(value.numel() for value in before.values()) == 38_951_745
    trainer.fit(module, datamodule=data)
    for name, value in module.named_parameters():
        assert torch.isfinite(value).all()
        if name.endswith("weight"):
            assert not torch.equal(value, before[name]), name


def test_the_pair_score_learns_and_judges_better_than_chance(tmp_path):
    seed_everything(0)
    data = Digits(batches=PairBatches(64))
    network = EmbeddingNet(16, padding=2)
    module = SiameseModule(network, PairCrossEntropyLoss(), metrics=[VerificationMetrics(distance="loss")])
    trainer = Trainer(
        max_epochs=4, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    (figures,) = trainer.test(module, datamodule=data, verbose=False)
    assert figures["test/roc_auc"] > 0.9 and figures["test/verification_accuracy"] > 0.8
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    again = SiameseModule.load_from_checkpoint(tmp_path / "saved.ckpt", weights_only=True)
    assert torch.equal(again.loss.distance.weight, module.loss.distance.weight)
    assert again.metrics[0].calibration.threshold == module.metrics[0].calibration.threshold
    first, second = torch.randn(2, 3, 16)
    assert torch.equal(again.metrics[0].distances(first, second), module.metrics[0].distances(first, second))


def test_the_command_line_tests_trials_and_judges_listed_pairs(tmp_path, monkeypatch, capsys):
    write_set(tmp_path / "data/images_background", dict.fromkeys("ABCD", 12), drawers=8)
    write_trials(tmp_path / "trials", runs=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["metric-lightning"])
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    arguments = ["--trainer.limit_train_batches=1", "--trainer.max_epochs=2", "--default_callbacks=false"]
    arguments += ["--data.init_args.root=data", "--data.init_args.trials=trials", "--trainer.accelerator=cpu"]
    main(["fit", "--config", str(EXPERIMENTS / "koch.yaml"), *arguments, "--trainer.enable_progress_bar=false"])
    folder = tmp_path / "lightning_logs/omniglot/koch/version_0"
    figures = json.loads((folder / "metrics.json").read_text()) if (folder / "metrics.json").exists() else {}
    assert "one_shot_accuracy " in capsys.readouterr().out, figures
    figure = one_shot(folder / "checkpoints/last.ckpt")
    assert len(figure.axes[0].images) == 10 * 7  # ten trials: the picture, and six classes
    (tmp_path / "pairs.txt").write_text("0 20\n1 2\n")
    main(["predict", "--ckpt_path", str(folder / "checkpoints/last.ckpt"), "--pairs", "pairs.txt"])
    lines = (folder / "pairs.csv").read_text().splitlines()
    assert lines[0] == "first,second,distance,same,probability" and len(lines) == 3

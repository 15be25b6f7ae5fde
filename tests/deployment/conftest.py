"""A run on a small folder of real pictures, trained once for all tests of what comes after training."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from metric_lightning.cli import main
from tests.data.digit_pictures import write_digits

CONFIG = """
data:
  class_path: metric_lightning.data.ImageFolder
  init_args:
    root: ROOT
    size: 16
    grey: true
    augment: []
    batches: {class_path: metric_lightning.data.BalancedBatches, init_args: {n_classes: 4, n_samples: 5}}
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network: {class_path: metric_lightning.networks.EmbeddingNet, init_args: {embedding_dim: 4, padding: 2}}
    loss: {class_path: metric_lightning.losses.TripletMarginLoss}
    metrics:
      - class_path: metric_lightning.metrics.RetrievalMetrics
      - class_path: metric_lightning.metrics.VerificationMetrics
trainer: {max_epochs: 3, accelerator: cpu, enable_progress_bar: false, enable_model_summary: false}
default_callbacks: false
"""


class Run(NamedTuple):
    """Where everything is.

    Attributes:
        checkpoint: of the run.
        photos: the pictures that it was trained on, a folder for each class; one has a name that needs care.
    """

    checkpoint: str
    photos: Path


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    before = Path.cwd()
    os.chdir(folder)
    try:
        write_digits(folder / "photos", each=20, names=["zéro", "<b>one", "two, or so", "three"])
        Path("photos.yaml").write_text(CONFIG.replace("ROOT", str(folder / "photos")))
        main(["fit", "--config", "photos.yaml"])
    finally:
        os.chdir(before)
    return Run(str(folder / "lightning_logs/photos/version_0/checkpoints/last.ckpt"), folder / "photos")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refusal(capsys):
    """Run a command that must fail, and return its one sentence."""

    def run_and_read(*arguments: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        assert stopped.value.code == 2
        printed = capsys.readouterr().err
        assert "Traceback" not in printed
        (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
        return line

    return run_and_read


@pytest.fixture
def without(monkeypatch):
    """Make packages seem not to be installed."""

    def hide(*packages: str) -> None:
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)

    return hide

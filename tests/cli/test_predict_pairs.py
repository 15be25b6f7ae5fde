"""`predict --pairs`: the checkpoint's threshold tells pairs of indices or of pictures."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metric_lightning.cli import main
from metric_lightning.command_line.pairs import read_columns
from metric_lightning.data import Digits
from metric_lightning.errors import UserError
from metric_lightning.modules import EmbeddingModule

CONFIG = """
data:
  class_path: metric_lightning.data.Digits
  init_args:
    batches: {{class_path: metric_lightning.data.BalancedBatches, init_args: {{n_classes: 10, n_samples: 6}}}}
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network: {{class_path: metric_lightning.networks.EmbeddingNet, init_args: {{embedding_dim: 4, padding: 2}}}}
    loss: {{class_path: metric_lightning.losses.TripletMarginLoss}}
    metrics: [{{class_path: metric_lightning.metrics.RetrievalMetrics}}{metric}]
trainer: {{max_epochs: 1, limit_train_batches: 12, accelerator: cpu, enable_progress_bar: false}}
default_callbacks: false
"""
VERIFICATION = ", {class_path: metric_lightning.metrics.VerificationMetrics}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run with a threshold and one without."""
    folder = tmp_path_factory.mktemp("runs")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for name, metric in (("with", VERIFICATION), ("without", "")):
            Path(f"{name}.yaml").write_text(CONFIG.format(metric=metric))
            main(["fit", "--config", f"{name}.yaml"])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def checkpoint(trained, tmp_path, monkeypatch) -> str:
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return "lightning_logs/with/version_0/checkpoints/last.ckpt"


def rows_of(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_indices(checkpoint, capsys):
    Path("pairs.txt").write_text("# two columns\n3, 8\n8\t3\n\n5 5\n0 200\n")
    main(["predict", "--ckpt_path", checkpoint, "--pairs", "pairs.txt", "--output", "told.csv"])
    main(["predict", "--ckpt_path", checkpoint, "--output", "all.npz"])
    embeddings = np.load("all.npz")["embeddings"].astype(np.float64)
    module = EmbeddingModule.load_from_checkpoint(checkpoint)
    calibration = module.metrics[1].calibration
    rows = rows_of("told.csv")
    assert [(row["first"], row["second"]) for row in rows] == [("3", "8"), ("8", "3"), ("5", "5"), ("0", "200")]
    for row in rows:
        distance = np.linalg.norm(embeddings[int(row["first"])] - embeddings[int(row["second"])])
        assert float(row["distance"]) == pytest.approx(distance, rel=1e-4, abs=1e-6)
        assert row["same"] == ("true" if distance <= calibration.threshold else "false")
        expected = float(calibration.probability(torch.tensor([distance]))[0])
        assert float(row["probability"]) == pytest.approx(expected, rel=1e-4)
    assert rows[2]["distance"] == "0" and rows[2]["same"] == "true"
    assert f"4 pairs, of which {sum(row['same'] == 'true' for row in rows)} are the same" in capsys.readouterr().out


def test_paths_are_prepared_as_the_data_are(checkpoint):
    module = EmbeddingModule.load_from_checkpoint(checkpoint)
    data = Digits()
    data.setup()
    names = []
    for index in (0, 1, 2):
        pixels = data.test_set.dataset.images[data.test_set.indices[index]][0]
        names.append(f"digit {index}.png")
        Image.fromarray(pixels.numpy()).save(names[-1])
    Path("pairs.csv").write_text(f"{names[0]},{names[1]}\n{names[1]},{names[2]}\n")
    main(["predict", "--ckpt_path", checkpoint, "--pairs", "pairs.csv"])
    Path("indices.csv").write_text("0,1\n1,2\n")
    main(["predict", "--ckpt_path", checkpoint, "--pairs", "indices.csv", "--output", "by_index.csv"])
    found, expected = rows_of("lightning_logs/with/version_0/pairs.csv"), rows_of("by_index.csv")
    assert [row["distance"] for row in found] == [row["distance"] for row in expected]
    assert [row["first"] for row in found] == names[:2] and module.metrics[1].calibration is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0 100000\n", "names the index 100000, but the test part has"),
        ("none.png other.png\n", "names the picture none.png, which can't be read"),
        ("0 1 1\n", "pairs.txt:1: '0 1 1' must be two indices or two paths"),
        ("# nothing\n", "holds no pair"),
    ],
)
def test_what_goes_wrong_is_one_sentence(checkpoint, content, words, capsys):
    Path("pairs.txt").write_text(content)
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--ckpt_path", checkpoint, "--pairs", "pairs.txt"])
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


def test_no_threshold_is_one_sentence(checkpoint, capsys):
    Path("pairs.txt").write_text("0 1\n")
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--ckpt_path", checkpoint.replace("with", "without"), "--pairs", "pairs.txt"])
    assert "the checkpoint holds no fitted threshold: name metric_lightning.metrics.Ver" in capsys.readouterr().err


def test_only_the_first_rank_prints(checkpoint, monkeypatch, capsys):
    Path("pairs.txt").write_text("0 1\n")
    for first, lines in ((True, 1), (False, 0)):
        monkeypatch.setattr("lightning.pytorch.Trainer.is_global_zero", first)
        main(["predict", "--ckpt_path", checkpoint, "--pairs", "pairs.txt"])
        assert capsys.readouterr().out.count("1 pairs, of which") == lines


def test_columns(tmp_path):
    (tmp_path / "a").write_text('"a, b.png",c d.png\ne.png\tf g.png\n')
    assert read_columns(tmp_path / "a") == [("a, b.png", "c d.png"), ("e.png", "f g.png")]
    with pytest.raises(UserError, match="can't be read"):
        read_columns(tmp_path / "b")

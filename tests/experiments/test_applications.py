"""The measurements of the applications print their tables and draw their pictures."""

import importlib.util
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from metric_lightning.errors import UserError
from metric_lightning.modules import EmbeddingModule, MetricModule
from metric_lightning.networks import Conv4
from tests.experiments.replica import write_replica


def saved(module: MetricModule, path: Path) -> str:
    """Write the checkpoint of a module that nobody trained."""
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False)
    trainer.strategy.connect(module)
    module.trainer = trainer
    trainer.save_checkpoint(path)
    return str(path)


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
def test_tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.track import main
    from metric_lightning.applications.tracking import StackedPairModule
    from metric_lightning.losses import SupervisedContrastiveLoss
    from tests.applications.tracking.replica import write_replica as write_video

    monkeypatch.chdir(tmp_path)
    video, boxes = write_video(tmp_path)
    shape = (3, 64, 32)
    embedding = EmbeddingModule(Conv4(8, 4, normalize=True), SupervisedContrastiveLoss(), input_shape=shape)
    pairs = StackedPairModule(Conv4(1, 4), input_shape=shape)
    checkpoints = [saved(embedding, tmp_path / "a.ckpt"), saved(pairs, tmp_path / "b.ckpt")]
    text = main(
        ["--video", str(video), "--annotations", str(boxes), "--train_until", "20", "--validation_identities", "1", "2"]
        + ["--embeddings", checkpoints[0], checkpoints[0], "--pairs", checkpoints[1], "--gaps", "4", "10"]
    )
    found, trackers = text.strip().split("\n\n")
    assert found.splitlines()[0] == "| found again after | 4 frames (16) | 10 frames (10) |"
    row = {line.split("|")[1].strip(): line for line in found.splitlines()[2:]}
    # Everybody of the replica has a colour of their own.
    assert row["colours"].endswith("| 1.000 | 1.000 |") and "±" in row["embedding"]
    assert len(trackers.splitlines()) == 2 + 2 * 6
    folder = tmp_path / "lightning_logs" / "tracking"
    assert (folder / "association_trackers.md").read_text() == text
    assert (folder / "overlap_annotated_boxes_0.png").is_file() and (folder / "overlap_annotated_boxes_0.txt").is_file()


@pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="scikit-image is not installed")
def test_cosegmentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.cosegment import main
    from metric_lightning.applications.cosegmentation import CosegmentationModule, CosegmentationNet, SmallEncoder

    monkeypatch.chdir(tmp_path)
    write_replica(tmp_path)
    net = CosegmentationNet(SmallEncoder(4), decoder_channels=8)
    checkpoint = saved(CosegmentationModule(net, input_shape=(2, 3, 32, 32)), tmp_path / "net.ckpt")
    text = main(["--root", str(tmp_path), "--without", checkpoint, checkpoint, "--pairs", "4", "--shown", "2"])
    names = [line.split("|")[1].strip() for line in text.splitlines()[2::2]]
    assert names == ["everything", "every object", "nothing", "without"]
    assert "| nothing | unseen | 0.000 | 0.000 |" in text and all(" 0.500 |" in line for line in text.splitlines()[2:8])
    assert text.splitlines()[-1].count("±") == 4
    few = ["--root", str(tmp_path), "--pairs", "2", "--shown", "1"]
    both = main([*few, "--without", checkpoint, "--correlation", checkpoint])
    assert both.splitlines()[-1] == "| difference, by seed | unseen" + 4 * " | 0.000" + " |"
    with pytest.raises(UserError, match="as many checkpoints"):
        main([*few, "--without", checkpoint, "--correlation", checkpoint, checkpoint])
    assert (tmp_path / "lightning_logs/cosegmentation/pairs.png").is_file()


def test_shared_objects_are_told_apart_by_their_mean_probability() -> None:
    from experiments.cosegment import judge, told_apart
    from metric_lightning.applications.cosegmentation.pairs import MaskedPairs

    kinds = torch.tensor([[[[0, 1, 1, 2]], [[3, 3, 1, 0]]], [[[2, 4, 0, 0]], [[2, 2, 0, 0]]]])
    shared = torch.tensor([1, 2])[:, None, None, None]
    pairs = MaskedPairs(torch.zeros(2, 2, 3, 1, 4), kinds == shared, kinds)
    # Won by a mean of two pixels; lost; a tie; and a picture that shows nothing else.
    logits = torch.tensor([[[[9.0, 3.0, -1.0, 0.0]], [[0.0, 2.0, -1.0, 9.0]]], [[[1.0, 1.0, 9.0, 9.0]], [[-9.0] * 4]]])
    assert told_apart(logits, pairs) == pytest.approx((1 + 0 + 0.5) / 3)
    # Of logits shifted from 0, the threshold finds the masks again, and nothing else does.
    shifted = torch.where(pairs.masks, 2.0, 1.0)
    seen, unseen = judge(shifted, shifted, pairs, pairs)
    assert seen == unseen and seen.jaccard < 0.5 and seen.jaccard_at_threshold == 1

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from metric_lightning.applications.tracking import PairAppearance, StackedPairModule, VideoIdentities, appearance_of
from metric_lightning.applications.tracking.__main__ import track
from metric_lightning.applications.tracking.pair_classifier import PairCrossEntropy, drawn_pairs
from metric_lightning.applications.tracking.rendering import crossings, strip
from metric_lightning.applications.tracking.video import crops
from metric_lightning.data import PairBatches
from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.functional.verification import count_pairs, roc_auc
from metric_lightning.losses import SupervisedContrastiveLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import Conv4


def data_of(replica: tuple[Path, Path], batches: PairBatches | None = None) -> VideoIdentities:
    return VideoIdentities(
        str(replica[0]), str(replica[1]), train_until=20, validation_identities=[3], size=(32, 16), batches=batches
    )


def test_parts_share_neither_time_nor_identity(replica: tuple[Path, Path]) -> None:
    data = data_of(replica)
    data.setup()
    # 5 comes in before frame 20 and stays: it trains nothing.
    assert (data.train_identities, data.validation_identities, data.test_identities) == ([1, 2, 4], [3], [5, 6])
    assert data.class_names == ["1", "2", "4", "3", "5", "6"] and data.num_classes == 3
    names = {
        part: {data.class_names[label] for label in getattr(data, part).labels} for part in ("val_set", "test_set")
    }
    assert names == {"val_set": {"3"}, "test_set": {"5", "6"}}
    # Every second frame is annotated, 1 to 19, and those between are filled in; 4's first two boxes don't count.
    counts = torch.bincount(data.train_set.labels, minlength=3).tolist()
    assert counts == [19, 19, 15] and len(data.val_set) == 10


def test_crops_show_the_person(replica: tuple[Path, Path]) -> None:
    found = crops(replica[0], np.array([5, 40]), np.array([[22.0, 20, 12, 24], [63.0, 70, 12, 24]]), (8, 4))
    for crop, colour in zip(found, ((220, 30, 30), (40, 200, 220)), strict=True):
        assert (crop.float().mean((1, 2)) - torch.tensor(colour)).abs().max() < 25


@pytest.mark.parametrize("frames", [[0], [41]])
def test_a_box_beyond_the_video_is_an_error(replica: tuple[Path, Path], frames: list[int]) -> None:
    with pytest.raises(UserError, match="frames count from 1"):
        crops(replica[0], np.array(frames), np.array([[0.0, 0, 4, 4]]))


def test_a_box_at_the_edge_is_filled_with_the_border(replica: tuple[Path, Path]) -> None:
    found = crops(replica[0], np.array([1]), np.array([[-30.0, -30, 20, 20]]), (4, 4))
    assert (found.float() - 90).abs().max() < 8


def test_too_few_identities_are_said(replica: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="move it"):
        VideoIdentities(str(replica[0]), str(replica[1]), train_until=40, validation_identities=1)
    with pytest.raises(UserError, match="identity 5 can't validate"):
        VideoIdentities(str(replica[0]), str(replica[1]), train_until=20, validation_identities=[5])
    with pytest.raises(DataNotFound):
        VideoIdentities("nothing.avi", str(replica[1]), train_until=20, validation_identities=1).setup()


def test_cross_entropy_of_pairs_is_that_of_a_loop() -> None:
    logits, same = torch.randn(7, 1, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    expected = sum(
        -torch.log(torch.sigmoid(z if s else -z)) for z, s in zip(logits[:, 0], same.tolist(), strict=True)
    ) / len(same)
    torch.testing.assert_close(PairCrossEntropy()(logits, same).double(), expected, atol=1e-6, rtol=1e-6)
    with pytest.raises(ValueError, match="one logit"):
        PairCrossEntropy()(torch.zeros(3, 2), torch.zeros(3))


def test_pairs_are_stacked_and_scored_in_both_orders() -> None:
    module = StackedPairModule(Conv4(embedding_dim=1, channels=4), input_shape=(3, 32, 16)).eval()
    one, other = torch.randn(2, 3, 3, 32, 16)
    expected = (module(torch.cat([one, other], 1)) + module(torch.cat([other, one], 1)))[:, 0] / 2
    torch.testing.assert_close(module.scores(one, other), expected.detach(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(module.scores(one, other), module.scores(other, one))
    stacked, same = module.unpack((torch.stack([one[0], one[1], other[0], other[1]]), torch.tensor([4, 4, 1, 2]), None))
    assert same.tolist() == [1, 0] and stacked.shape == (2, 6, 32, 16)
    assert (stacked[1, :3] == other[0]).all() and (stacked[1, 3:] == other[1]).all()


def test_a_network_with_more_outputs_is_refused() -> None:
    with pytest.raises(ValueError, match="embedding_dim=1"):
        StackedPairModule(Conv4(embedding_dim=2))


def test_the_pair_classifier_learns_and_comes_back_from_its_checkpoint(
    replica: tuple[Path, Path], tmp_path: Path
) -> None:
    data = data_of(replica, PairBatches(batch_size=16))
    module = StackedPairModule(
        Conv4(embedding_dim=1, channels=8), lambda parameters: torch.optim.Adam(parameters, lr=3e-3)
    )
    trainer = Trainer(
        max_epochs=12, logger=False, enable_checkpointing=False, enable_progress_bar=False, default_root_dir=tmp_path,
        enable_model_summary=False, accelerator="cpu", log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    assert float(trainer.callback_metrics["train/loss"]) < 0.3
    (figures,) = trainer.test(module, datamodule=data, verbose=False)
    assert set(figures) == {"test/roc_auc", "test/equal_error_rate", "test/tar_at_far_0_01"}
    # It knows those it was trained on apart; two colours never seen are too much for three.
    batch = data.train_eval_set.__getitems__(list(range(len(data.train_eval_set))))
    first, second = drawn_pairs(len(batch.labels), 500)
    logits = module.eval().scores(batch.inputs[first], batch.inputs[second])
    assert roc_auc(count_pairs(-logits, batch.labels[first] == batch.labels[second])) > 0.95
    trainer.save_checkpoint(tmp_path / "pairs.ckpt")
    again = appearance_of(tmp_path / "pairs.ckpt")
    assert isinstance(again, PairAppearance)
    images = torch.randint(0, 256, (3, 3, 32, 16), dtype=torch.uint8)
    expected = PairAppearance(module)
    torch.testing.assert_close(
        again.distances(again.features(images), again.features(images)),
        expected.distances(expected.features(images), expected.features(images)),
    )


def test_the_command_writes_tracks_and_a_strip(replica: tuple[Path, Path], tmp_path: Path) -> None:
    data = data_of(replica)
    module = EmbeddingModule(Conv4(embedding_dim=8, channels=8, normalize=True), SupervisedContrastiveLoss())
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, limit_val_batches=0,
        enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    trainer.save_checkpoint(tmp_path / "embedding.ckpt")
    video, boxes = map(str, replica)
    arguments = ["--video", video, "--detections", boxes, "--output", str(tmp_path / "out"), "--size", "32", "16"]
    arguments += ["--first_frame", "21", "--evaluate", "--movie", "--least_score", "0.1"]
    said = track([*arguments, "--checkpoint", str(tmp_path / "embedding.ckpt"), "--annotations", boxes,
                  "--annotated_until", "20", "--identities", "1", "2", "3"])  # fmt: skip
    assert "idf1" in said
    written = (tmp_path / "out/tracks.txt").read_text().splitlines()
    assert len(written) == 20 and all(line.count(",") == 9 for line in written)
    assert (tmp_path / "out/strip.png").stat().st_size > 1000 and (tmp_path / "out/tracks.mp4").stat().st_size > 1000
    with pytest.raises(UserError, match="needs --annotations"):
        track([*arguments, "--checkpoint", str(tmp_path / "embedding.ckpt")])
    assert "2 tracks" in track(arguments)


def test_a_strip_shows_boxes_in_their_colours(replica: tuple[Path, Path]) -> None:
    data = data_of(replica)
    frames = crossings(data.annotated, 3)
    plain = strip(replica[0], data.annotated.where(data.annotated.frames < 0), frames)
    shown = strip(replica[0], data.annotated, frames)
    assert shown.shape == (256, 320, 3) and (shown != plain).any(2).mean() > 0.01
    first, later = (strip(replica[0], data.annotated.where(data.annotated.frames < 0), [frame], 1) for frame in (1, 8))
    corner = np.s_[:24, :80]
    assert (first[corner] == 0).all(2).mean() > 0.2, "a black box"
    assert (first[corner] != later[corner]).any(), "with the frame's number"
    with pytest.raises(UserError, match="not all of the frames"):
        strip(replica[0], data.annotated, [41])

"""Two towers: the loss between views, on one rank and two; strokes; a run that learns, and one that collapses."""

import functools
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from lightning.pytorch import Trainer, seed_everything
from torch import nn

from experiments.application_pictures import two_towers
from metric_lightning.callbacks import CollapseDiagnosis
from metric_lightning.cli import main
from metric_lightning.data import AffineDistortion, BalancedBatches, OmniglotTwoViews
from metric_lightning.data.omniglot_files import Drawing
from metric_lightning.data.omniglot_strokes import read_strokes
from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.losses import InfoNCELoss, SoftmaxLoss, TripletMarginLoss
from metric_lightning.metrics import CrossViewTrials
from metric_lightning.miners import BatchHard
from metric_lightning.modules import TwoTowerModule
from metric_lightning.modules.ranks import loss_between_views
from metric_lightning.networks import EmbeddingNet, LSTMNet, TwoTowers
from tests.data.stroke_replica import write_drawings
from tests.distributed.ranks import on_ranks

EXPERIMENT = Path(__file__).parents[2] / "experiments/omniglot/two_towers.yaml"
LABELS = torch.tensor([0, 1, 0, 2, 1])


def views() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))


def by_loop(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE of each view of each sample against the other view of all."""
    costs = []
    for asking, asked in ((first, second), (second, first)):
        for i in range(len(labels)):
            s = [torch.cosine_similarity(asking[i], item, dim=0) / temperature for item in asked]
            negative = [s[j].exp() for j in range(len(labels)) if labels[j] != labels[i]]
            for p in range(len(labels)):
                if labels[p] == labels[i]:
                    costs.append(-(s[p].exp() / (s[p].exp() + sum(negative))).log())
    return torch.stack(costs).mean()


def test_the_loss_compares_each_view_with_the_other_in_both_directions():
    first, second = (view.requires_grad_() for view in views())
    value, logged = loss_between_views(InfoNCELoss(temperature=0.5), first, second, LABELS)
    expected = by_loop(first, second, LABELS, 0.5)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(logged, expected.detach())
    torch.testing.assert_close(
        torch.autograd.grad(value, (first, second)), torch.autograd.grad(expected, (first, second))
    )


def gradients_of_a_rank(parts):
    rank = dist.get_rank()
    first, second = (view[parts[rank]].clone().requires_grad_() for view in views())
    value, logged = loss_between_views(InfoNCELoss(temperature=0.5), first, second, LABELS[parts[rank]])
    value.backward()
    return first.grad, second.grad, logged


@pytest.mark.parametrize("parts", [[[0, 1, 2], [3, 4]], [[], [0, 1, 2, 3, 4]]])
def test_two_ranks_have_the_gradients_of_one(parts):
    first, second = (view.requires_grad_() for view in views())
    value, logged = loss_between_views(InfoNCELoss(temperature=0.5), first, second, LABELS)
    value.backward()
    found = on_ranks(2, gradients_of_a_rank, parts)
    for place, whole in enumerate((first.grad, second.grad)):
        # Trainers divide by the number of ranks.
        torch.testing.assert_close(torch.cat([rank[place] for rank in found]) / 2, whole)
    torch.testing.assert_close(found[0][2], logged)


def test_a_loss_that_can_not_compare_views_is_told():
    with pytest.raises(ValueError, match="SoftmaxLoss can't compare two views; use a loss of pairs"):
        loss_between_views(SoftmaxLoss(num_classes=3, embedding_dim=3), *views(), LABELS)
    with pytest.raises(ValueError, match="both networks must embed into one space, got embedding_dim 4 and 5"):
        TwoTowers(EmbeddingNet(4), LSTMNet(5))
    with pytest.raises(ValueError, match="TwoTowers needs the shapes of two views"):
        TwoTowers(EmbeddingNet(4), LSTMNet(4), input_shape=(1, 28, 28))


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_and_strokes_of_one_drawing_come_together(tmp_path, zipped):
    write_drawings(tmp_path, {"A": 3, "B": 3, "C": 3}, drawers=4, zipped=zipped)
    data = OmniglotTwoViews(str(tmp_path), str(tmp_path), 1, 1, batches=BalancedBatches(3, 2))
    data.setup()
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set)] == [12, 12, 12]
    alphabets = [{data.class_names[label].split("/")[0] for label in part.labels} for part in (
        data.train_set, data.val_set, data.test_set)]  # fmt: skip
    assert all(len(found) == 1 for found in alphabets) and len(set.union(*alphabets)) == 3
    (images, pens), labels, _ = next(iter(data.train_dataloader()))
    assert images.shape == (6, 1, 28, 28) and pens.steps.shape[::2] == (6, 5) and len(labels) == 6
    for pen, length in zip(*pens, strict=True):
        assert not pen[length:].any()
    _, pens = data.val_set.__getitems__(list(range(12))).inputs
    # Drawer d draws d strokes (see the replica), so a drawing's number of strokes says whose it is.
    assert pens.steps[..., 4].sum(1).tolist() == [1, 2, 3, 4] * 3


def test_augmentation_turns_picture_and_points_alike(tmp_path):
    write_drawings(tmp_path, {"A": 2, "B": 2, "C": 2}, drawers=2, line=True)
    data = OmniglotTwoViews(
        str(tmp_path), str(tmp_path), 1, 1, size=105, augment=[AffineDistortion(rotation=40, shift=0)]
    )
    data.setup()
    (images, pens), _, _ = next(iter(data.train_dataloader()))
    for image, pen, length in zip(images, *pens, strict=True):
        x, y = (pen[length // 2, :2] + 1) * 52.5  # the middle of the line
        near = image[0, int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
        assert near.max() > 0.5 * image.max()


def test_turned_characters_are_classes_whose_views_turn_together(tmp_path):
    write_drawings(tmp_path, {"A": 2, "B": 2, "C": 2}, drawers=2, line=True)
    data = OmniglotTwoViews(str(tmp_path), str(tmp_path), 1, 1, size=105, rotated_classes=True)
    data.setup()
    assert data.num_classes == 8 and len(data.train_set) == 16
    (images, pens), _, _ = data.train_set.__getitems__(list(range(16)))
    for place, (image, pen, length) in enumerate(zip(images, *pens, strict=True)):
        torch.testing.assert_close(image, torch.rot90(images[place % 4], place // 4, (-2, -1)))
        for x, y in ((pen[: int(length), :2] + 1) * 52.5).tolist():
            assert image[0, max(int(y) - 2, 0) : int(y) + 3, max(int(x) - 2, 0) : int(x) + 3].max() > 0.5 * image.max()
        steps = pen[1 : int(length), :2] - pen[: int(length) - 1, :2]
        torch.testing.assert_close(pen[1 : int(length), 2:4] * 6.0 / 52.5, steps, atol=1e-5, rtol=1e-4)


def test_what_is_missing_or_damaged_is_told(tmp_path):
    write_drawings(tmp_path / "a", {"A": 2, "B": 2, "C": 2}, drawers=2)
    write_drawings(tmp_path / "b", {"A": 2, "B": 2}, drawers=2)
    with pytest.raises(UserError, match="4 of 12 drawings have no strokes, C/character01 by drawer 1 first"):
        OmniglotTwoViews(str(tmp_path / "a"), str(tmp_path / "b"), 1, 1)
    with pytest.raises(DataNotFound, match="pen strokes are not in"):
        OmniglotTwoViews(str(tmp_path / "a"), str(tmp_path / "a/images_background"), 1, 1)
    drawing = Drawing(False, "A/character01", 3)
    for content, sentence in ((b"START\n1,nonsense,0\n", "can't be read"), (b"START\nBREAK\n", "hold no point")):
        with pytest.raises(UserError, match=f"strokes of A/character01, drawer 3,? {sentence}"):
            read_strokes(drawing, lambda content=content: content)


def run(folder, module, callbacks, epochs):
    data = OmniglotTwoViews(str(folder), str(folder), 1, 1, batches=BalancedBatches(4, 3))
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=folder, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, callbacks=callbacks,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return trainer, data


def test_a_run_trains_and_comes_back_from_its_checkpoint(tmp_path):
    write_drawings(tmp_path, {"A": 4, "B": 4, "C": 4}, drawers=6)
    seed_everything(0)
    network = TwoTowers(EmbeddingNet(8, normalize=True), LSTMNet(8, 16, normalize=True))
    module = TwoTowerModule(network, InfoNCELoss(0.2), metrics=[CrossViewTrials(ways=4, episodes=20)])
    trainer, data = run(tmp_path, module, [], epochs=2)
    (figures,) = trainer.test(module, datamodule=data, verbose=False)
    assert {"test/first_to_second_4_way", "test/second_to_first_4_way"} <= set(figures)
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    again = TwoTowerModule.load_from_checkpoint(tmp_path / "saved.ckpt", weights_only=True)
    inputs = data.test_set.__getitems__([0, 5]).inputs
    module.eval(), again.eval()
    torch.testing.assert_close(again(inputs), module(inputs), rtol=0, atol=0)
    assert again(inputs).shape == (2, 16)


def test_the_command_line_runs_the_experiment_and_its_picture_is_drawn(tmp_path, monkeypatch, capsys):
    write_drawings(tmp_path / "data", dict.fromkeys("ABCD", 33), drawers=4)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["metric-lightning"])
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    arguments = ["--trainer.limit_train_batches=1", "--trainer.max_epochs=1", "--default_callbacks=false"]
    arguments += ["--data.init_args.root=data", "--data.init_args.strokes=data", "--trainer.accelerator=cpu"]
    main(["fit", "--config", str(EXPERIMENT), *arguments, "--trainer.enable_progress_bar=false"])
    assert "first_to_second_20_way " in capsys.readouterr().out
    checkpoint = tmp_path / "lightning_logs/omniglot/two_towers/version_0/checkpoints/last.ckpt"
    main(["test", "--ckpt_path", str(checkpoint)])
    assert "second_to_first_20_way " in capsys.readouterr().out
    figure = two_towers(checkpoint)
    assert len(figure.axes[0].images) == 8 * 7  # four questions each way, with six answers


class Stuck(nn.Module):
    """Two towers that have collapsed already: all samples nearly at one point, as batch-hard leaves them."""

    embedding_dim = 4

    def __init__(self):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(1e-5))

    def forward(self, inputs):
        marks = torch.stack([inputs.first.flatten(1).mean(1), inputs.second.steps.flatten(1).mean(1)], 1)
        return torch.ones(len(marks), 4) + self.size * marks.repeat(1, 2)


def test_the_diagnosis_names_towers_that_have_collapsed(tmp_path):
    write_drawings(tmp_path, {"A": 4, "B": 4, "C": 4}, drawers=6)
    diagnosis = CollapseDiagnosis(patience=2)
    loss = TripletMarginLoss(margin=0.2, miner=BatchHard())
    module = TwoTowerModule(Stuck(), loss, optimizer=functools.partial(torch.optim.SGD, lr=1e-6))
    run(tmp_path, module, [diagnosis], epochs=2)
    assert "The embedding has collapsed" in diagnosis.named["collapsed"]
    assert "RandomHardNegative" in diagnosis.named["collapsed"]

"""A siamese network of texts: lookup against a loop, the loss of MaLSTM, a run that learns, the baselines."""

import pytest
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything

from experiments.text import baselines
from metric_lightning.data import Codespell, PlainBatches
from metric_lightning.losses import InfoNCELoss
from metric_lightning.metrics import EmbeddedSet, LookupAccuracy
from metric_lightning.modules import TwoTowerModule
from metric_lightning.networks import EmbeddingNet, LSTMNet, SharedTower
from metric_lightning.types import Sequences, TwoViews


def embedded(n, classes, seed, first_label=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes + first_label
    centres = torch.randn(100, 3, generator=torch.Generator().manual_seed(9))
    second = centres[labels]
    return EmbeddedSet(torch.cat([second + torch.randn(n, 3, generator=generator), second], 1), labels, torch.arange(n))


@pytest.mark.parametrize("with_gallery", [False, True])
def test_lookup_finds_the_one_right_item_among_all_different_ones(with_gallery):
    queries, gallery = embedded(20, 5, 0), embedded(30, 8, 1, first_label=5) if with_gallery else None
    figures = LookupAccuracy(recall_at=(1, 2)).evaluate(queries, gallery)
    items = {}
    for part in filter(None, (queries, gallery)):
        for label, embedding in zip(part.labels.tolist(), part.embeddings, strict=True):
            items.setdefault(label, embedding[3:])
    ranks = []
    for label, embedding in zip(queries.labels.tolist(), queries.embeddings, strict=True):
        ranked = sorted(items, key=lambda item: float((embedding[:3] - items[item]).norm()))
        ranks.append(1 + ranked.index(label))
    assert figures["lookup_recall_at_1"] == pytest.approx(sum(rank == 1 for rank in ranks) / 20)
    assert figures["lookup_recall_at_2"] == pytest.approx(sum(rank <= 2 for rank in ranks) / 20)
    assert figures["lookup_mean_reciprocal_rank"] == pytest.approx(sum(1 / rank for rank in ranks) / 20)
    assert figures["lookup_items"] == (13 if with_gallery else 5)


def test_both_views_go_through_the_one_network():
    tower = SharedTower(LSTMNet(4, 5, tokens=True), input_shape=((9,), (9,)))
    texts = Sequences(torch.tensor([[3, 4], [5, 0]]), torch.tensor([2, 1]))
    first, second = tower(TwoViews(texts, texts)).chunk(2, dim=1)
    assert torch.equal(first, second) and first.shape == (2, 4)
    with pytest.raises(ValueError, match="SharedTower needs two views of one shape"):
        SharedTower(EmbeddingNet(4), input_shape=((1, 28, 28), (5,)))


def words(folder):
    """Write misspellings that leave one letter out of pronounceable words."""
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    generator = torch.Generator().manual_seed(0)
    lines = []
    for _ in range(120):
        word = "".join(syllables[int(i)] for i in torch.randint(0, 60, (3,), generator=generator))
        lines += [f"{word[:place]}{word[place + 1 :]}->{word}" for place in (1, 2, 4)]
    (folder / "dictionary.txt").write_text("\n".join(sorted(set(lines))))
    return folder / "dictionary.txt"


def test_a_run_learns_to_look_up_unseen_words_and_stands_beside_the_baselines(tmp_path, capsys):
    seed_everything(0)
    data = Codespell(str(words(tmp_path)), None, 0.1, 0.2, batches=PlainBatches(64), eval_batch_size=32)
    network = SharedTower(LSTMNet(32, 32, bidirectional=True, reading="max", tokens=True, normalize=True))
    module = TwoTowerModule(network, InfoNCELoss(0.1), metrics=[LookupAccuracy(recall_at=(1,))])
    trainer = Trainer(
        max_epochs=12, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    (before,) = trainer.test(module, datamodule=data, verbose=False)
    trainer.fit(module, datamodule=data)
    (after,) = trainer.test(module, datamodule=data, verbose=False)
    missed_before, missed = 1 - before["test/lookup_recall_at_1"], 1 - after["test/lookup_recall_at_1"]
    assert missed < 0.5 * missed_before
    assert after["test/lookup_items"] == len(data.class_names)
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    config = {"data": {"class_path": "metric_lightning.data.Codespell", "init_args": {
        "dictionary": str(tmp_path / "dictionary.txt"), "test_size": 0.2, "eval_batch_size": 32}}}  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    found = baselines.main(["--config", str(tmp_path / "config.yaml"), "--ckpt_path", str(tmp_path / "saved.ckpt")])
    assert found["network"].mean == pytest.approx(after["test/lookup_recall_at_1"], abs=1e-6)
    assert found["edit_distance"].mean > 0.9 and found["character_ngrams"].mean > 0.5
    assert f"| network | {found['network'].mean:.4f}" in capsys.readouterr().out


def test_baselines_share_ties_and_choose_the_nearest():
    items = ["cat", "car", "dog"]
    right = torch.tensor([0, 2])
    assert baselines.recall_at_1(["caz", "dgo"], right, baselines.edit_distance(items)).mean == pytest.approx(0.75)
    assert baselines.recall_at_1(["dgo"], right[1:], baselines.transposing_distance(items)).mean == 1.0
    assert baselines.recall_at_1(["cat", "dog"], right, baselines.character_ngrams(items)).mean == 1.0

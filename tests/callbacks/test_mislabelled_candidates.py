"""Wrong labels are found, named once with the remedy, and shown; right ones are left alone."""

import re

import pytest
import torch

from metric_lightning.callbacks import MislabelledCandidates
from metric_lightning.callbacks.label_suspects import label_suspects
from metric_lightning.data import ArrayDataset
from tests.callbacks.small import NAMES, Quarters, folder_of, images, module, trainer

WRONG, NONE = torch.arange(0, 120, 17), torch.arange(0)


class Mislabelled(Quarters):
    """Some labels are the next class's. Nothing is shuffled: positions are those of `load`."""

    def __init__(self, wrong: torch.Tensor):
        super().__init__(validation_size=0, test_size=8)
        self.wrong = wrong

    def load(self):
        pixels, labels = images()
        labels[self.wrong] = (labels[self.wrong] + 1) % 4
        return ArrayDataset(pixels, labels, NAMES, mean=0.3, std=0.2), None


def slow_suspects(embeddings, labels, k):
    found = []
    classes = sorted(set(labels.tolist()))
    size = {label: labels.tolist().count(label) for label in classes}
    k = min(k, len(labels) - 1, sorted(size.values())[(len(size) - 1) // 2] - 1)
    for i in range(len(labels)):
        others = sorted(
            (j for j in range(len(labels)) if j != i), key=lambda j: torch.dist(embeddings[i], embeddings[j])
        )
        votes = [int(labels[j]) for j in others[:k]]
        own = int(labels[i])
        likely = max((label for label in classes if label != own), key=votes.count)
        mine, theirs = (votes.count(own) + 1) / (size[own] - 1), votes.count(likely) / size[likely]
        if votes.count(likely) >= 0.7 * k and theirs >= 4 * mine:
            found.append(i)
    return found


def clouds(sizes, apart: float, seed: int = 0):
    """Clouds of classes, all `apart` from each other on average, with a deviation of 1."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    middles = apart / 4 * torch.randn(len(sizes), 8, generator=random, dtype=torch.float64)
    return middles[labels] + torch.randn(len(labels), 8, generator=random, dtype=torch.float64), labels


def suspects_of(embeddings, labels, k=10):
    return label_suspects(torch.cdist(embeddings, embeddings), labels, k)


@pytest.mark.parametrize("sizes", [[20, 20, 20], [40, 15, 10], [5, 5, 5, 5]])
def test_suspects_are_those_of_the_loop(sizes):
    embeddings, labels = clouds(sizes, apart=20.0)
    labels[0], labels[-1] = 1, 0
    found = suspects_of(embeddings, labels, k=7)
    assert sorted(found.sample.tolist()) == slow_suspects(embeddings, labels, 7) != []
    assert (found.likely != labels[found.sample]).all()
    assert (found.agreement.diff() <= 0).all()


@pytest.mark.parametrize("sizes", [[900, 30, 30], [540, 60], [300, *[30] * 6], [100] * 6, [6] * 50])
@pytest.mark.parametrize("apart", [0.0, 2.0, 4.0, 8.0])
def test_right_labels_of_unequal_and_hard_classes_are_left_alone(sizes, apart):
    shares = []
    for seed in range(2):
        embeddings, labels = clouds(sizes, apart, seed)
        shares.append(len(suspects_of(embeddings, labels).sample) / len(labels))
    assert max(shares) < 0.02


@pytest.mark.parametrize("moved", [5, 10, 20])
def test_samples_that_are_filed_wrong_together_are_found(moved):
    """They are each other's neighbours, so that each has some of its own label around it."""
    embeddings, labels = clouds([100] * 6, apart=16.0)
    wrong = torch.cat([torch.arange(label * 100, label * 100 + moved) for label in range(3)])
    labels[wrong] = 5
    found = set(suspects_of(embeddings, labels).sample.tolist())
    assert len(found & set(wrong.tolist())) > 0.5 * len(wrong) and len(found - set(wrong.tolist())) < 6


def test_a_collapsed_embedding_accuses_nobody():
    _, labels = clouds([100] * 6, apart=0.0)
    for embeddings in (torch.zeros(600, 2), 1e-6 * torch.randn(600, 2, generator=torch.Generator().manual_seed(0))):
        assert len(suspects_of(embeddings, labels).sample) == 0


def test_wrong_labels_are_named_once_and_shown(tmp_path, caplog):
    callback = MislabelledCandidates(every_n_epochs=2, neighbours=5)
    data = Mislabelled(WRONG)
    trainer(tmp_path, [callback], max_epochs=4).fit(module(), datamodule=data)
    train = data.train_eval_set
    flipped = {int(i) for i in range(len(train)) if int(train.labels[i]) != int(_true_label(train, i))}
    assert set(callback.found) <= flipped and len(callback.found) > len(flipped) // 2
    (sentence,) = [record.message for record in caplog.records if "mislabelled" in record.message]
    assert re.match(r"\d of 112 training samples look mislabelled, .*: samples \d+ \(", sentence)
    assert "\n" not in sentence
    assert "look at figures/mislabelled_train.png" in sentence and "SubCenterArcFaceLoss" in sentence
    assert (folder_of(tmp_path) / "figures" / "mislabelled_train.png").stat().st_size > 1000


def _true_label(dataset, index):
    """The brightest quarter."""
    (image,) = dataset.__getitems__([index]).inputs
    return image[0].unflatten(1, (2, 2)).unflatten(0, (2, 3)).mean((1, 3)).argmax()


@pytest.mark.parametrize("seed", range(10))
def test_right_labels_are_left_alone(tmp_path, caplog, seed):
    torch.manual_seed(seed)
    callback = MislabelledCandidates()
    trainer(tmp_path, [callback], max_epochs=2).fit(module(), datamodule=Mislabelled(NONE))
    assert callback.found == []
    assert not [record for record in caplog.records if "mislabelled" in record.message]


def test_without_a_folder_they_are_named_and_nothing_is_written(tmp_path, caplog):
    callback = MislabelledCandidates(neighbours=5)
    run = trainer(tmp_path, [callback], max_epochs=2, logger=False, enable_checkpointing=False)
    run.fit(module(), datamodule=Mislabelled(WRONG))
    (sentence,) = [record.message for record in caplog.records if "mislabelled" in record.message.lower()]
    assert "samples look mislabelled" in sentence and "figures" not in sentence and len(callback.found) > 2
    assert list(tmp_path.iterdir()) == []


def test_one_candidate_is_shown_and_not_named(tmp_path, caplog):
    callback = MislabelledCandidates()
    trainer(tmp_path, [callback], max_epochs=2).fit(module(), datamodule=Mislabelled(torch.tensor([30])))
    assert len(callback.found) == 1
    assert (folder_of(tmp_path) / "figures" / "mislabelled_train.png").exists()
    assert not [record for record in caplog.records if "mislabelled" in record.message]


@pytest.mark.parametrize("name", ["max_points", "neighbours", "rows", "every_n_epochs"])
def test_a_wrong_argument_is_named(name):
    with pytest.raises(ValueError, match=name):
        MislabelledCandidates(**{name: 0})

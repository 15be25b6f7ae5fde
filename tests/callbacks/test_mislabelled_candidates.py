"""Wrong labels are found, named once with the remedy, and shown; right ones are left alone."""

import re

import pytest
import torch

from metric_lightning.callbacks import MislabelledCandidates
from metric_lightning.callbacks.label_suspects import label_suspects
from metric_lightning.data import ArrayDataset
from tests.callbacks.small import NAMES, Quarters, folder_of, images, module, trainer

WRONG = torch.arange(0, 120, 17)


class Mislabelled(Quarters):
    """Every 17th label is the next class's. Nothing is shuffled: positions are those of `load`."""

    def __init__(self, wrong: bool):
        super().__init__(validation_size=0, test_size=8)
        self.wrong = wrong

    def load(self):
        pixels, labels = images()
        if self.wrong:
            labels[WRONG] = (labels[WRONG] + 1) % 4
        return ArrayDataset(pixels, labels, NAMES, mean=0.3, std=0.2), None


def slow_suspects(embeddings, labels, k):
    found = []
    for i in range(len(labels)):
        others = sorted(
            (j for j in range(len(labels)) if j != i), key=lambda j: torch.dist(embeddings[i], embeddings[j])
        )
        votes = [int(labels[j]) for j in others[:k]]
        if int(labels[i]) not in votes and max(votes.count(vote) for vote in votes) >= 0.8 * k:
            found.append(i)
    return found


def test_suspects_are_those_of_the_loop():
    labels = torch.randint(0, 3, (60,))
    embeddings = 2.5 * torch.nn.functional.one_hot(labels, 3).double() + torch.randn(60, 3, dtype=torch.float64)
    labels[:6] = (labels[:6] + 1) % 3
    found = label_suspects(torch.cdist(embeddings, embeddings), labels, k=5)
    assert sorted(found.sample.tolist()) == slow_suspects(embeddings, labels, 5) != []
    assert (found.likely != labels[found.sample]).all()
    assert (found.agreement.diff() <= 0).all()


def test_wrong_labels_are_named_once_and_shown(tmp_path, caplog):
    callback = MislabelledCandidates(every_n_epochs=2, neighbours=5)
    data = Mislabelled(wrong=True)
    trainer(tmp_path, [callback], max_epochs=4).fit(module(), datamodule=data)
    train = data.train_eval_set
    flipped = {int(i) for i in range(len(train)) if int(train.labels[i]) != int(_true_label(train, i))}
    assert set(callback.found) <= flipped and len(callback.found) > len(flipped) // 2
    (sentence,) = [record.message for record in caplog.records if "mislabelled" in record.message]
    assert re.match(r"\d of 112 training samples look mislabelled, .*: index \d+ \(", sentence) and "\n" not in sentence
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
    trainer(tmp_path, [callback], max_epochs=2).fit(module(), datamodule=Mislabelled(wrong=False))
    assert callback.found == []
    assert not [record for record in caplog.records if "mislabelled" in record.message]


@pytest.mark.parametrize("name", ["max_points", "neighbours", "rows", "every_n_epochs"])
def test_a_wrong_argument_is_named(name):
    with pytest.raises(ValueError, match=name):
        MislabelledCandidates(**{name: 0})

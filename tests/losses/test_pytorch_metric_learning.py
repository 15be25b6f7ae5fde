"""Losses of pytorch-metric-learning by name: the same values, from YAML too; a sentence where they can't be had."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser

from metric_lightning.errors import UserError
from metric_lightning.losses import CrossBatchMemory, MetricLoss, PytorchMetricLearningLoss
from metric_lightning.parts import describe
from metric_lightning.types import Pairs, References

theirs = pytest.importorskip("pytorch_metric_learning")
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers  # noqa: E402

DOCS = Path(__file__).parents[2] / "docs/from_pytorch_metric_learning.md"
X, LABELS = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 4
LP = {"class_path": "pytorch_metric_learning.distances.LpDistance", "init_args": {"normalize_embeddings": False}}


def test_loss_and_miner_by_name():
    loss = PytorchMetricLearningLoss("CircleLoss", {"m": 0.3}, "MultiSimilarityMiner", {"epsilon": 0.2})
    x = X.clone().requires_grad_()
    value = loss(x, LABELS)
    expected = losses.CircleLoss(m=0.3)(x, LABELS, miners.MultiSimilarityMiner(epsilon=0.2)(X, LABELS))
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(*(torch.autograd.grad(item, x) for item in (value, expected)))
    assert not loss.row_wise and not loss.learns_classes


def test_sizes_are_filled_in():
    loss = PytorchMetricLearningLoss("SubCenterArcFaceLoss", {"sub_centers": 2})
    assert loss.learns_classes
    with pytest.raises(RuntimeError, match="has no weights yet"):
        loss(X, LABELS)
    with pytest.raises(ValueError, match="number of classes is not known"):
        loss.build(None, 4)
    loss.build(4, 4)
    assert [weight.shape for weight in loss.parameters()] == [(4, 8)]
    assert loss(X, LABELS).isfinite()
    given = PytorchMetricLearningLoss("CosFaceLoss", {"num_classes": 4, "embedding_size": 4})
    assert len(list(given.parameters())) == 1


def test_references_and_pairs():
    loss = PytorchMetricLearningLoss("ContrastiveLoss", {"distance": LP})
    expected = losses.ContrastiveLoss(distance=distances.LpDistance(normalize_embeddings=False))
    torch.testing.assert_close(
        loss(X[:5], LABELS[:5], References(X[5:], LABELS[5:])),
        expected(X[:5], LABELS[:5], ref_emb=X[5:], ref_labels=LABELS[5:]),
    )
    # Among the references an anchor is no pair with itself, as in a batch of its own.
    similarity = PytorchMetricLearningLoss("MultiSimilarityLoss")
    itself = References(X.clone(), LABELS.clone(), torch.arange(12))
    torch.testing.assert_close(similarity(X, LABELS, itself), similarity(X, LABELS))
    same = torch.zeros(12, 12, dtype=torch.bool)
    same[0, 1] = same[0, 2] = True
    mean = ((X[0] - X[1]).norm() + (X[0] - X[2]).norm()) / 2
    torch.testing.assert_close(loss(X, LABELS, pairs=Pairs(same, torch.zeros_like(same))), mean)
    assert CrossBatchMemory(loss, 4)(X, LABELS).isfinite()


def test_yaml_describes_it_and_makes_it_again():
    written: dict[str, Any] = {
        "class_path": "metric_lightning.losses.PytorchMetricLearningLoss",
        "init_args": {
            "class_path": "ContrastiveLoss",
            "init_args": {"neg_margin": 0.5, "distance": LP},
            "miner_class_path": "BatchHardMiner",
        },
    }
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--loss", type=MetricLoss)
    made = parser.instantiate(parser.parse_object({"loss": written})).loss
    expected = losses.ContrastiveLoss(neg_margin=0.5, distance=distances.LpDistance(normalize_embeddings=False))
    torch.testing.assert_close(made(X, LABELS), expected(X, LABELS, miners.BatchHardMiner()(X, LABELS)))
    description = describe(made)
    assert json.loads(json.dumps(description))["init_args"]["init_args"] == written["init_args"]["init_args"]
    again = parser.instantiate(parser.parse_object({"loss": description})).loss
    assert describe(again) == description and torch.equal(again(X, LABELS), made(X, LABELS))


# What a loss can't do without; all others are made from their name alone.
NEEDED: dict[str, dict[str, Any]] = {
    "CrossBatchMemory": {"loss": {"class_path": "ContrastiveLoss"}, "memory_size": 32},
    "MultipleLosses": {"losses": [{"class_path": "ArcFaceLoss"}, {"class_path": "TripletMarginLoss"}]},
    "RankedListLoss": {"margin": 0.4, "Tn": 1.0},
}
NO_LABELS = {"ManifoldLoss", "SelfSupervisedLoss", "VICRegLoss"}
BASES = {
    "BaseLossWrapper",
    "BaseMetricLossFunction",
    "EmbeddingRegularizerMixin",
    "GenericPairLoss",
    "WeightRegularizerMixin",
}
EVERY = sorted(name for name in dir(losses) if isinstance(getattr(losses, name), type))


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # their HistogramLoss
@pytest.mark.parametrize("name", EVERY)
def test_every_loss_of_the_package_trains_or_is_refused_in_a_sentence(name: str):
    if name in NO_LABELS | BASES:
        with pytest.raises(UserError, match=f"{name} (takes (no labels:|two views without labels;)|is a base class)"):
            PytorchMetricLearningLoss(name, NEEDED.get(name))
        if name in NO_LABELS:
            assert f"`{name}`" in DOCS.read_text()
        return
    loss = PytorchMetricLearningLoss(name, NEEDED.get(name))
    loss.build(4, 4)
    x = X.clone().requires_grad_()
    value = loss(x, LABELS)
    value.backward()
    assert value.isfinite() and value != 0 and x.grad is not None and x.grad.isfinite().all() and x.grad.any()


def test_sizes_of_losses_within_losses_are_filled_in():
    written = {"losses": {"one": {"class_path": "ArcFaceLoss"}, "two": {"class_path": "CosFaceLoss"}}}
    loss = PytorchMetricLearningLoss("MultipleLosses", written)
    assert loss.learns_classes
    with pytest.raises(ValueError, match="MultipleLosses: the number of classes is not known"):
        loss.build(None, 4)
    loss.build(4, 4)
    assert [weight.shape for weight in loss.parameters()] == [(4, 4)] * 2
    one, two = loss.loss.losses["one"], loss.loss.losses["two"]
    torch.testing.assert_close(loss(X, LABELS), one(X, LABELS) + two(X, LABELS))
    with pytest.raises(ValueError, match="MultipleLosses takes no references"):
        loss(X, LABELS, References(X, LABELS))
    # A regularizer asks for the number of classes, though its loss was given it.
    centers = {"class_path": "SparseCentersRegularizer", "init_args": {"centers_per_class": 10}}
    soft = PytorchMetricLearningLoss("SoftTripleLoss", {"num_classes": 4, "weight_regularizer": centers})
    soft.build(4, 4)
    assert soft(X, LABELS).isfinite()


def test_objects_within_are_found_by_their_short_names():
    loss = PytorchMetricLearningLoss(
        "ContrastiveLoss",
        {
            "pos_margin": 1.0,
            "neg_margin": 0.0,
            "distance": {"class_path": "CosineSimilarity"},
            "reducer": {
                "class_path": "MultipleReducers",
                "init_args": {"reducers": {"pos_loss": {"class_path": "SumReducer"}}},
            },
            "embedding_regularizer": {"class_path": "LpRegularizer"},
        },
    )
    expected = losses.ContrastiveLoss(
        1.0,
        0.0,
        distance=distances.CosineSimilarity(),
        reducer=reducers.MultipleReducers({"pos_loss": reducers.SumReducer()}),
        embedding_regularizer=regularizers.LpRegularizer(),
    )
    torch.testing.assert_close(loss(X, LABELS), expected(X, LABELS))
    with pytest.raises(UserError, match="has no NoDistance among its losses, distances, reducers, reg"):
        PytorchMetricLearningLoss("ContrastiveLoss", {"distance": {"class_path": "NoDistance"}})


@pytest.mark.parametrize("miner", ["TripletMarginMiner", "PairMarginMiner"])
def test_our_memory_around_their_loss_and_miner(miner: str):
    """As their own memory does it, whose columns are the batch, as a constant, and what came before."""
    loss = CrossBatchMemory(PytorchMetricLearningLoss("ContrastiveLoss", None, miner), 24)
    expected = losses.CrossBatchMemory(losses.ContrastiveLoss(), 4, 36, getattr(miners, miner)())
    for step in range(3):
        x = torch.randn(12, 4, generator=torch.Generator().manual_seed(step))
        torch.testing.assert_close(loss(x, LABELS), expected(x, LABELS))


def test_without_the_package_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pytorch_metric_learning"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    with pytest.raises(UserError, match="^CircleLoss is in the package .*: pip install pytorch-metric-learning$"):
        PytorchMetricLearningLoss("CircleLoss")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("NoLoss",), "pytorch_metric_learning has no NoLoss among its losses"),
        (("torch.nn.NoLoss",), "torch.nn has no NoLoss"),
        (("no_such_package.Loss",), "no_such_package.Loss can't be imported"),
        (("CircleLoss", {"wrong": 1}), "CircleLoss: .*'wrong'"),
        (("CircleLoss", None, "NoMiner"), "pytorch_metric_learning has no NoMiner among its miners"),
    ],
)
def test_wrong_names_end_in_a_sentence(arguments: tuple[Any, ...], message: str):
    with pytest.raises(UserError, match=message):
        PytorchMetricLearningLoss(*arguments)


def test_an_empty_batch_costs_nothing():
    x = torch.zeros(0, 4, requires_grad=True)
    PytorchMetricLearningLoss("CircleLoss")(x, torch.zeros(0, dtype=torch.int64)).backward()
    assert x.grad is not None

"""Metrics that judge by a learned distance, against loops over pairs."""

import pytest
import torch

from metric_lightning.distances import EuclideanDistance, WeightedL1Distance
from metric_lightning.functional.verification import count_pairs, equal_error_rate, roc_auc
from metric_lightning.losses import CrossBatchMemory, PairCrossEntropyLoss, SoftmaxLoss
from metric_lightning.metrics import EmbeddedSet, FewShotAccuracy, OneShotTrials, VerificationMetrics, judging, rerank
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import Pixels


@pytest.fixture
def distance() -> WeightedL1Distance:
    found = WeightedL1Distance(embedding_dim=3)
    with torch.no_grad():
        found.weight.copy_(torch.tensor([2.0, -0.5, 1.0]))
        found.bias.fill_(-1.0)
    return found


def samples(n: int = 24, classes: int = 4) -> EmbeddedSet:
    generator = torch.Generator().manual_seed(0)
    return EmbeddedSet(torch.randn(n, 3, generator=generator), torch.arange(n) % classes, torch.arange(n))


def judged(distance, a, b) -> float:
    return float((distance.bias + (distance.weight * (a - b).abs()).sum()).detach())


@pytest.mark.parametrize("block", [1, 50, 2**20])
def test_verification_counts_every_pair_once_by_the_learned_distance(distance, block, monkeypatch):
    monkeypatch.setattr(judging, "_BLOCK_ELEMENTS", block)
    found, metric = samples(), VerificationMetrics(distance="loss")
    metric.take_distance(distance)
    pairs = [(i, j) for i in range(24) for j in range(i)]
    values = torch.tensor([judged(distance, found.embeddings[i], found.embeddings[j]) for i, j in pairs])
    counts = count_pairs(values, torch.tensor([bool(found.labels[i] == found.labels[j]) for i, j in pairs]))
    figures = metric.evaluate(found)
    assert figures["roc_auc"] == pytest.approx(roc_auc(counts), abs=1e-9)
    assert figures["equal_error_rate"] == pytest.approx(equal_error_rate(counts), abs=1e-9)
    listed = metric.distances(found.embeddings[:20], found.embeddings[4:])
    wanted = [judged(distance, a, b) for a, b in zip(found.embeddings[:20], found.embeddings[4:], strict=True)]
    torch.testing.assert_close(listed, torch.tensor(wanted))
    metric.fit(found)
    assert metric.calibration is not None and not [name for name, _ in metric.named_parameters()]


def test_trials_and_episodes_take_the_class_with_the_best_pair_score(distance):
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(8, 3, generator=generator)
    run = EmbeddedSet(points, torch.tensor([5, 6, 7, 8, 8, 7, 6, 5]), torch.arange(8))
    metric = OneShotTrials(ways=4, distance="loss")
    metric.take_distance(distance)
    right = 0
    for told in range(4, 8):
        scores = [judged(distance, points[told], points[known]) for known in range(4)]
        right += int(run.labels[scores.index(min(scores))] == run.labels[told])
    assert metric.evaluate(run)["one_shot_accuracy"] == right / 4

    episodes = FewShotAccuracy(ways=3, shots=2, queries=2, episodes=20, distance="loss")
    episodes.take_distance(EuclideanDistance())
    by_learned = episodes.evaluate(samples())
    plain = FewShotAccuracy(ways=3, shots=2, queries=2, episodes=20).evaluate(samples())
    assert set(by_learned) == {"3_way_2_shot_nearest", "3_way_2_shot_nearest_interval"}
    assert all(plain[name] == pytest.approx(value) for name, value in by_learned.items())


def test_a_module_lends_its_losses_distance_also_from_within_a_memory():
    for loss in (PairCrossEntropyLoss(), CrossBatchMemory(PairCrossEntropyLoss(), size=16)):
        metric = VerificationMetrics(distance="loss")
        module = EmbeddingModule(Pixels(input_shape=(3,)), loss, metrics=[metric], input_shape=(3,), num_classes=4)
        assert len(metric._loss_distance[0].weight) == 3
        assert metric.evaluate(samples())["roc_auc"] > 0
        assert not [name for name in module.state_dict() if name.startswith("metrics") and "weight" in name]


def test_a_loss_without_a_distance_is_told():
    metric = OneShotTrials(ways=2, distance="loss")
    EmbeddingModule(Pixels(input_shape=(3,)), SoftmaxLoss(num_classes=4, embedding_dim=3), metrics=[metric])
    with pytest.raises(ValueError, match="give the metric to a module whose loss has one"):
        metric.evaluate(EmbeddedSet(torch.zeros(4, 3), torch.tensor([0, 1, 0, 1]), torch.arange(4)))


def test_reranking_sorts_the_candidates_by_the_learned_distance(distance):
    gallery, queries = samples().embeddings, samples(5).embeddings + 0.1
    positions = torch.tensor([[3, 9, 1], [2, -1, 4], [0, 1, 2], [23, 22, 21], [-1, -1, -1]])
    distances, found = rerank(distance, queries, gallery, positions)
    for row in range(5):
        there = [position for position in positions[row].tolist() if position >= 0]
        wanted = sorted(there, key=lambda position: judged(distance, queries[row], gallery[position]))
        assert found[row].tolist() == wanted + [-1] * (3 - len(there))
        values = [judged(distance, queries[row], gallery[position]) for position in wanted]
        torch.testing.assert_close(distances[row, : len(there)], torch.tensor(values))
        assert torch.isinf(distances[row, len(there) :]).all()
    with pytest.raises(ValueError, match=r"positions must be 0..23, or -1, got 0..24"):
        rerank(distance, queries[:1], gallery, torch.tensor([[0, 24]]))

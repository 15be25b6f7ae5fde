"""Retrieval across views, against loops."""

import math

import pytest
import torch

from metric_lightning.functional.few_shot import draw_episodes
from metric_lightning.metrics import CrossViewRetrieval, CrossViewTrials, EmbeddedSet


def samples(n: int = 30, classes: int = 6) -> EmbeddedSet:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, 4, generator=generator)
    labels = torch.arange(n) % classes
    views = centres[labels].repeat(1, 2) + torch.randn(n, 8, generator=generator)
    return EmbeddedSet(views, labels, torch.arange(100, 100 + n))


@pytest.mark.parametrize("own", ["left_out", "kept"])
def test_each_way_searches_the_other_view(own):
    found = samples()
    first, second = found.embeddings[:, :4], found.embeddings[:, 4:]
    figures = CrossViewRetrieval(own=own, recall_at=(1, 3)).evaluate(found)
    for way, asking, asked in (("first_to_second", first, second), ("second_to_first", second, first)):
        right, among = 0, 0
        for query in range(30):
            items = [item for item in range(30) if own == "kept" or item != query]
            ranked = sorted(items, key=lambda item: float((asking[query] - asked[item]).norm()))
            right += int(found.labels[ranked[0]] == found.labels[query])
            among += int(any(found.labels[item] == found.labels[query] for item in ranked[:3]))
        assert figures[f"{way}_precision_at_1"] == pytest.approx(right / 30)
        assert figures[f"{way}_recall_at_3"] == pytest.approx(among / 30)
    mean = (figures["first_to_second_map_at_r"] + figures["second_to_first_map_at_r"]) / 2
    assert figures["cross_map_at_r"] == pytest.approx(mean)


def test_trials_compare_different_samples_only():
    found, trials = samples(), CrossViewTrials(ways=4, episodes=12, seed=3)
    figures = trials.evaluate(found)
    known, told = draw_episodes(found.labels, 12, 4, 1, 1, seed=3)
    views = {"first_to_second": (slice(0, 4), slice(4, 8)), "second_to_first": (slice(4, 8), slice(0, 4))}
    for way, (asking, asked) in views.items():
        hits = []
        for episode in range(12):
            support, questions = known[episode].flatten().tolist(), told[episode].flatten().tolist()
            assert not set(support) & set(questions)
            for question in questions:
                distance = [
                    float((found.embeddings[question, asking] - found.embeddings[s, asked]).norm()) for s in support
                ]
                hits.append(found.labels[support[distance.index(min(distance))]] == found.labels[question])
        assert figures[f"{way}_4_way"] == pytest.approx(sum(map(int, hits)) / len(hits))
        assert figures[f"{way}_4_way_interval"] > 0
    assert math.isnan(CrossViewTrials(ways=7).evaluate(found)["first_to_second_7_way"])


def test_embeddings_that_are_no_two_views_are_told():
    with pytest.raises(ValueError, match="embeddings have 3 components, which can't be two views side by side"):
        CrossViewTrials(ways=2).evaluate(EmbeddedSet(torch.zeros(4, 3), torch.tensor([0, 0, 1, 1]), torch.arange(4)))

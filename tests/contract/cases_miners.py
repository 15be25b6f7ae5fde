"""The miners of the reference set."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from metric_lightning.miners import (
    AllPairs,
    Angular,
    BatchEasyHard,
    BatchHard,
    DistanceWeighted,
    HardestNegative,
    HardNegativePairs,
    MultiSimilarity,
    PairMargin,
    RandomHardNegative,
    RandomNegativePairs,
    SemiHardNegative,
    TripletMargin,
    UniformHistogram,
)
from metric_lightning.types import Pairs
from tests.contract.miner_case import Choice, MinerCase, Pick, all_of
from tests.contract.oracles import columns, triplets


def all_pairs(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    rows = range(len(distances))
    positive = [(a, p, 1) for a in rows for p in columns(pairs.positive, a)]
    return all_of(positive + [(a, n, 0) for a in rows for n in columns(pairs.negative, a)])


def random_negative_pairs(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    choices = []
    for a in range(len(distances)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        choices += all_of([(a, p, 1) for p in positive])
        choices.append(Choice([(a, n, 0) for n in negative], min(len(positive), len(negative))))
    return choices


def hard_negative_pairs(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    rows = range(len(distances))
    positive = [(a, p, 1) for a in rows for p in columns(pairs.positive, a)]
    negative = [(a, n, 0) for a in rows for n in columns(pairs.negative, a)]
    negative.sort(key=lambda pick: (float(distances[pick[0], pick[1]]), pick))
    return all_of(positive + negative[: len(positive)])


def batch_hard(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    chosen = []
    for a in range(len(distances)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            farthest = max(positive, key=lambda j: (float(distances[a, j]), -j))
            closest = min(negative, key=lambda j: (float(distances[a, j]), j))
            chosen.append((a, farthest, closest))
    return all_of(chosen)


def hardest_negative(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    chosen = []
    for a in range(len(distances)):
        negative = columns(pairs.negative, a)
        if negative:
            closest = min(negative, key=lambda j: (float(distances[a, j]), j))
            for p in columns(pairs.positive, a):
                if distances[a, p] - distances[a, closest] + (miner.margin or 0) > 0:
                    chosen.append((a, p, closest))
    return all_of(chosen)


def one_each(distances: Tensor, pairs: Pairs, fits: Any) -> list[Choice]:
    """One random negative for each positive pair, of those that fit (d_ap, d_an)."""
    choices = []
    for a in range(len(distances)):
        for p in columns(pairs.positive, a):
            fitting = [n for n in columns(pairs.negative, a) if fits(distances[a, p], distances[a, n])]
            choices.append(Choice([(a, p, n) for n in fitting], min(1, len(fitting))))
    return choices


def random_hard(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    return one_each(distances, pairs, lambda p, n: n < p + (miner.margin or 0))


def semi_hard(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    return one_each(distances, pairs, lambda p, n: p < n < p + miner.margin)


def angular(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    """One random negative for each positive pair, of those with a wide angle."""
    choices = []
    for a in range(len(distances)):
        for p in columns(pairs.positive, a):
            fitting = []
            for n in columns(pairs.negative, a):
                side, one, other = float(distances[a, p]), float(distances[a, n]), float(distances[p, n])
                to_middle = max(0.0, 2 * one**2 + 2 * other**2 - side**2) ** 0.5 / 2  # 0: no triangle
                if math.degrees(math.atan2(side, 2 * to_middle)) > miner.angle:
                    fitting.append((a, p, n))
            choices.append(Choice(fitting, min(1, len(fitting))))
    return choices


def batch_easy_hard(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    chosen = []
    for a in range(len(distances)):
        row = distances[a].tolist()
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        order = ["positive", "negative"] if miner.positive != "semi-hard" else ["negative", "positive"]
        picked: dict[str, int] = {}
        for side in order:
            if side == "positive":
                if miner.positive == "semi-hard" and picked:
                    positive = [j for j in positive if row[j] < row[picked["negative"]]]
                farthest = miner.positive != "easiest"
                candidates = positive
            else:
                if miner.negative == "semi-hard" and picked:
                    negative = [j for j in negative if row[j] > row[picked["positive"]]]
                farthest = miner.negative == "easiest"
                candidates = negative
            if not candidates:
                break
            best = max(row[j] for j in candidates) if farthest else min(row[j] for j in candidates)
            picked[side] = next(j for j in candidates if row[j] == best)
        if len(picked) == 2:
            chosen.append((a, picked["positive"], picked["negative"]))
    return all_of(chosen)


def distance_weighted(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    choices = []
    for a in range(len(distances)):
        near = [n for n in columns(pairs.negative, a) if distances[a, n] < miner.limit]
        weights = []
        for n in near:
            d = max(float(distances[a, n]), miner.cutoff)
            weights.append(1 / (d ** (miner.dimensions - 2) * (1 - d**2 / 4) ** ((miner.dimensions - 3) / 2)))
        for p in columns(pairs.positive, a):
            choices.append(Choice([(a, p, n) for n in near], min(1, len(near)), weights))
    return choices


def multi_similarity(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    chosen = []
    for a in range(len(distances)):
        row = distances[a].tolist()
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        chosen += [(a, p, 1) for p in positive if any(row[p] > row[n] - miner.epsilon for n in negative)]
        chosen += [(a, n, 0) for n in negative if any(row[n] < row[p] + miner.epsilon for p in positive)]
    return all_of(chosen)


def pair_margin(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    kept = []
    for pick in all_pairs(miner, distances, pairs)[0].candidates:
        d = distances[pick[0], pick[1]]
        if d > miner.positive_margin if pick[2] else d < miner.negative_margin:
            kept.append(pick)
    return all_of(kept)


def triplet_margin(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    chosen = []
    for a, p, n in triplets(pairs):
        gap = float(distances[a, n]) - float(distances[a, p])
        kind = "hard" if gap <= 0 else "semi-hard" if gap <= miner.margin else "easy"
        if miner.kind == kind or (miner.kind == "all" and kind != "easy"):
            chosen.append((a, p, n))
    return all_of(chosen)


def uniform_histogram(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    choices = []
    for mask, side, number in (
        (pairs.positive, 1, miner.positives_per_bin),
        (pairs.negative, 0, miner.negatives_per_bin),
    ):
        found = [(i, j, side) for i in range(len(distances)) for j in columns(mask, i)]
        values = [float(distances[i, j]) for i, j, _ in found]
        bins: dict[int, list[Pick]] = {}
        for pick, value in zip(found, values, strict=True):
            width = (max(values) - min(values)) / miner.bins
            number_of_bin = min(int((value - min(values)) / width), miner.bins - 1) if width else 0
            bins.setdefault(number_of_bin, []).append(pick)
        choices += [Choice(candidates, min(number, len(candidates))) for candidates in bins.values()]
    return choices


def peer(name: str, distance: str | None = "LpDistance", **arguments: Any) -> Callable[[], Any]:
    """Make a miner of pytorch-metric-learning; with a distance by name embeddings are left as they are."""

    def make() -> Any:
        from pytorch_metric_learning import distances, miners

        objects = {} if distance is None else {"distance": getattr(distances, distance)(normalize_embeddings=False)}
        return getattr(miners, name)(**objects, **arguments)

    return make


THEIR_WORDS = {"easiest": "easy", "hardest": "hard", "semi-hard": "semihard"}

MINER_CASES = [
    MinerCase("all-pairs", AllPairs, all_pairs),
    MinerCase("random-negative-pairs", RandomNegativePairs, random_negative_pairs, draws=True),
    MinerCase("hard-negative-pairs", HardNegativePairs, hard_negative_pairs),
    MinerCase("batch-hard", BatchHard, batch_hard, peer=peer("BatchHardMiner")),
    MinerCase("hardest-negative", HardestNegative, hardest_negative),
    MinerCase("hardest-negative-margin", lambda: HardestNegative(margin=0.3), hardest_negative),
    MinerCase("random-hard", lambda: RandomHardNegative(margin=0.3), random_hard, draws=True),
    MinerCase("random-hard-without-margin", RandomHardNegative, random_hard, draws=True),
    MinerCase("semi-hard", lambda: SemiHardNegative(margin=0.4), semi_hard, draws=True),
    MinerCase("angular", lambda: Angular(angle=40.0), angular, draws=True, square=True),
    *(
        MinerCase(
            f"batch-easy-hard-{p}-{n}",
            partial(BatchEasyHard, p, n),
            batch_easy_hard,
            peer=peer("BatchEasyHardMiner", pos_strategy=THEIR_WORDS[p], neg_strategy=THEIR_WORDS[n]),
        )
        for p in ("easiest", "hardest", "semi-hard")
        for n in ("easiest", "hardest", "semi-hard")
        if not p == n == "semi-hard"
    ),
    MinerCase("distance-weighted", lambda: DistanceWeighted(dimensions=4), distance_weighted, draws=True),
    MinerCase(
        "distance-weighted-wide",
        lambda: DistanceWeighted(cutoff=0.2, limit=1.9, dimensions=2),
        distance_weighted,
        draws=True,
    ),
    MinerCase(
        "multi-similarity",
        lambda: MultiSimilarity(epsilon=0.2),
        multi_similarity,
        peer=peer("MultiSimilarityMiner", None, epsilon=0.2),
    ),
    # The first of a kind is what losses of all distances are tried with: it must leave pairs of dot products too.
    MinerCase("pair-margin-loose", lambda: PairMargin(-0.5, 1.5), pair_margin),
    MinerCase(
        "pair-margin",
        lambda: PairMargin(0.5, 1.5),
        pair_margin,
        peer=peer("PairMarginMiner", pos_margin=0.5, neg_margin=1.5),
    ),
    *(
        MinerCase(
            f"triplet-margin-{kind}",
            partial(TripletMargin, kind, margin=0.3),
            triplet_margin,
            peer=peer("TripletMarginMiner", margin=0.3, type_of_triplets=THEIR_WORDS.get(kind, kind)),
        )
        for kind in ("all", "hard", "semi-hard", "easy")
    ),
    MinerCase(
        "uniform-histogram", lambda: UniformHistogram(bins=5, negatives_per_bin=3), uniform_histogram, draws=True
    ),
    MinerCase("uniform-histogram-one", lambda: UniformHistogram(3, 1, 2), uniform_histogram, draws=True),
]

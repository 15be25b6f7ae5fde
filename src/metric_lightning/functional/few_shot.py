"""Few-shot classification: from K samples of each of N classes, tell the class of others.

E episodes, W classes an episode (ways), K samples a class to compare with (shots), Q samples a class to tell (queries),
D dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Episodes(NamedTuple):
    """Which samples each episode takes.

    Attributes:
        support: (E, W, K) int64 positions.
        queries: (E, W, Q) int64 positions, none of them in the support.
    """

    support: Tensor
    queries: Tensor


def draw_episodes(labels: Tensor, n_episodes: int, ways: int, shots: int, queries: int, seed: int) -> Episodes:
    """Draw episodes: classes without repetition, of each class samples without repetition.

    The draw depends on the seed, and on the labels in their order, alone. Classes with fewer than shots + queries
    samples don't take part.

    Raises:
        ValueError: a number is less than 1, or fewer than `ways` classes are large enough.

    Example:
        >>> episodes = draw_episodes(torch.tensor([0, 0, 1, 1, 2]), n_episodes=3, ways=2, shots=1, queries=1, seed=0)
        >>> episodes.support.shape, int(episodes.support.max())
        (torch.Size([3, 2, 1]), 3)
    """
    for name, value in (("n_episodes", n_episodes), ("ways", ways), ("shots", shots), ("queries", queries)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    order = labels.cpu().argsort(stable=True)
    counts = torch.unique(labels.cpu(), return_counts=True)[1]
    members = [part for part in order.split(counts.tolist()) if len(part) >= shots + queries]
    if len(members) < ways:
        raise ValueError(
            f"ways={ways} classes of at least {shots + queries} samples are needed, and there are {len(members)}; "
            "take fewer ways, shots or queries"
        )
    generator = torch.Generator().manual_seed(seed)
    taken = torch.empty(n_episodes, ways, shots + queries, dtype=torch.int64)
    for episode in range(n_episodes):
        for way, cls in enumerate(torch.randperm(len(members), generator=generator)[:ways].tolist()):
            some = torch.randperm(len(members[cls]), generator=generator)[: shots + queries]
            taken[episode, way] = members[cls][some]
    return Episodes(taken[..., :shots], taken[..., shots:])


def nearest_neighbour_scores(support: Tensor, queries: Tensor) -> Tensor:
    """Return (E, n, W): minus the distance of queries (E, n, D) to the nearest sample of each class (E, W, K, D)."""
    return _minus_distances(queries, support.flatten(1, 2)).unflatten(2, support.shape[1:3]).amax(3)


def prototype_scores(support: Tensor, queries: Tensor) -> Tensor:
    """Return (E, n, W): minus the distance of queries (E, n, D) to the mean of each class (E, W, K, D).

    Snell, Swersky, Zemel: Prototypical Networks for Few-shot Learning (NeurIPS 2017).
    """
    return _minus_distances(queries, support.double().mean(2))


def accuracy_of_scores(scores: Tensor, classes: Tensor) -> Tensor:
    """Return (...,) float64: the probability of the right class where equally high scores are drawn among.

    Args:
        scores: (..., W), larger is closer.
        classes: (...,) int64, the right class.

    Example:
        >>> accuracy_of_scores(torch.tensor([[0.1, 0.9, 0.9]]), torch.tensor([1])).tolist()
        [0.5]
    """
    best = scores == scores.amax(-1, keepdim=True)
    return best.gather(-1, classes[..., None])[..., 0].double() / best.sum(-1)


class Estimate(NamedTuple):
    """A mean, and the half-width of its 95% interval, 1.96 standard errors (nan of fewer than two values)."""

    mean: float
    interval: float


def estimate(values: Tensor) -> Estimate:
    """Return mean and interval of (n,) independent values.

    Example:
        >>> estimate(torch.tensor([1.0, 1.0])).interval
        0.0
    """
    values = values.double()
    interval = 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return Estimate(float(values.mean()), interval)


def _minus_distances(queries: Tensor, points: Tensor) -> Tensor:
    """(E, n, P), in float64 by differences: sets are small, and equal points tie."""
    return -torch.cdist(queries.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")

"""What can be wrong with an embedding, each with its sign and its remedy.

A condition is a function of what a callback observes; it returns one sentence, or None where all is well.
"""

import math
from typing import NamedTuple

from metric_lightning.callbacks.embedding_health import Health
from metric_lightning.callbacks.remedies import (
    Recipe,
    against_a_line,
    against_collapse,
    against_hubs,
    for_more_to_learn,
)

DIVERGED = (
    "not finite; lower the learning rate, clip gradients (trainer.gradient_clip_val), or look for such values in the "
    "data."
)


class Observation(NamedTuple):
    """What is known of a training at the end of an epoch.

    Attributes:
        health: of the validation embeddings; None where some aren't finite.
        dimensions: of the embedding.
        classes: among the samples.
        scale: the distance that the loss compares with, its margin; None where it has none.
        loss: the last logged; nan: unknown.
        active: share of the last batches whose loss wasn't 0; nan: unknown.
        batches: how many they were: those since the last observation, and before it until there are enough.
        gradient: largest norm of the gradient of all parameters since the last observation; nan: unknown.
        norms: root mean square length of the embeddings at each observation so far, this one the last.
        sees_origin: whether the loss tells embeddings from the same ones moved all together, as one of angles does.
        own_distance: of a sample to itself, as the loss sees it.
        recipe: how the run trains.
    """

    health: Health | None
    dimensions: int
    classes: int
    scale: float | None
    loss: float
    active: float
    batches: int = 1
    gradient: float = math.nan
    norms: tuple[float, ...] = ()
    sees_origin: bool = False
    own_distance: float = 0.0
    recipe: Recipe = Recipe()


# Healthy embeddings of MNIST tell classes apart (overlap below 0.15) after the first epoch, at distances above the
# margin; collapsed ones lay below 3% of the margin and above an overlap of 0.2.
_LEAST_DISTANCE = 0.05
_LEAST_SPREAD = 0.05
_MOST_OVERLAP = 0.15
_LITTLE_OVERLAP = 0.02
# Small batches of a run that still learns often cost nothing: a few of them tell little.
_FEW_ACTIVE = 0.01
ENOUGH_BATCHES = 100
_FEW_DIMENSIONS = 1.5
# Of healthy runs the softmax ones' embeddings grew most: 8 times in 20 epochs. Hubness stayed below 0.4.
_MOST_GROWTH = 30.0
_STILL_GROWS = 1.1
_MOST_HUBNESS = 3.0
# Of healthy runs the gradient fell with the loss; here it is gone while the loss stands.
_NO_GRADIENT = 1e-8
_A_LOSS = 1e-3


def diverged(seen: Observation) -> str | None:
    """Embeddings aren't finite."""
    if seen.health is not None:
        return None
    return f"Training has diverged: embeddings are {DIVERGED}"


def collapsed(seen: Observation) -> str | None:
    """All samples lie at one point, as far as the loss can see, and classes aren't told apart.

    Distances tell of losses that see nothing else, wherever the embedding lies; of all others its spread, as a share
    of its distance from the origin.
    """
    health = seen.health
    if health is None or seen.classes < 2:
        return None
    if seen.sees_origin or seen.scale is None:
        together = health.spread < _LEAST_SPREAD * health.norm
        sign = f"samples differ by {100 * health.spread / (health.norm or 1.0):.2g}% of their length"
    else:
        apart = health.negative_distance - seen.own_distance
        together = apart < _LEAST_DISTANCE * seen.scale
        sign = f"samples of different classes lie {max(0.0, apart):.2g} apart"
    if health.spread != 0 and not (together and health.overlap > _MOST_OVERLAP):
        return None
    return f"The embedding has collapsed: {sign}{_standing(seen)}; train with {against_collapse(seen.recipe)}."


def _standing(seen: Observation) -> str:
    """Say where the loss stands."""
    margin = "" if seen.recipe.margin is None else f" against a margin of {seen.recipe.margin:g}"
    if math.isnan(seen.loss):
        return margin
    soft = seen.recipe.margin is None and seen.recipe.pairwise and math.isclose(seen.loss, math.log(2), rel_tol=0.01)
    return f"{margin} and the loss stands at {seen.loss:.4g}{' (log 2)' if soft else ''}"


def nothing_active(seen: Observation) -> str | None:
    """Hardly a batch pulls any more, though classes aren't told apart."""
    if not _idle(seen) or _told_apart(seen):
        return None
    return (
        f"{_idle_batches(seen)} and nothing more is learned; use {for_more_to_learn(seen.recipe)}, or stop here if "
        "the figures are good enough."
    )


def finished(seen: Observation) -> str | None:
    """Hardly a batch pulls any more, and classes are told apart."""
    return f"{_idle_batches(seen)} and classes are told apart: training can stop." if _told_apart(seen) else None


def _told_apart(seen: Observation) -> bool:
    return _idle(seen) and seen.health is not None and seen.health.overlap < _LITTLE_OVERLAP


def _idle(seen: Observation) -> bool:
    enough = seen.batches >= ENOUGH_BATCHES
    return enough and seen.health is not None and seen.active < _FEW_ACTIVE and collapsed(seen) is None


def _idle_batches(seen: Observation) -> str:
    count = round(seen.active * seen.batches)
    few = "none" if count == 0 else f"{count:,}"
    return f"No active pairs or triplets are left: of the last {seen.batches:,} batches {few} had a loss above 0,"


def few_dimensions(seen: Observation) -> str | None:
    """Many dimensions were asked for and one is used."""
    health = seen.health
    if health is None or seen.dimensions < 4 or seen.classes < 5 or collapsed(seen) is not None:
        return None
    if not health.effective_rank < _FEW_DIMENSIONS:
        return None
    return (
        f"The embedding lies on a line: of its {seen.dimensions} dimensions it uses {health.effective_rank:.1f} "
        f"(effective rank); train with {against_a_line(seen.recipe)}."
    )


def no_gradient(seen: Observation) -> str | None:
    """The loss is not small, and nothing pulls."""
    if not (seen.gradient < _NO_GRADIENT and seen.loss > _A_LOSS) or collapsed(seen) is not None:
        return None
    return (
        f"The gradient has vanished: its norm is {seen.gradient:.2g} while the loss stands at {seen.loss:.4g}; look "
        "for saturated units (smaller initial weights) or a saturated loss (a higher temperature, a lower scale), and "
        "see that the parameters require gradients."
    )


def growing_norm(seen: Observation) -> str | None:
    """Embeddings get longer and longer, which lowers a loss of scores but tells no more."""
    last = seen.norms[-3:]
    if len(seen.norms) < 4 or not seen.norms[-1] > _MOST_GROWTH * seen.norms[0]:
        return None
    if not all(after > _STILL_GROWS * before for before, after in zip(last, last[1:], strict=False)):
        return None
    return (
        f"Embeddings grow without end: their length is {seen.norms[-1]:.3g}, {seen.norms[-1] / seen.norms[0]:.0f} "
        "times that of the first epoch; normalise them (normalize: true of the network), take more weight decay, or "
        "lower the learning rate."
    )


def hubs(seen: Observation) -> str | None:
    """A few samples are everyone's neighbours."""
    if seen.health is None or not seen.health.hubness > _MOST_HUBNESS or collapsed(seen) is not None:
        return None
    return (
        f"A few samples are among the nearest of many others (hubness {seen.health.hubness:.1f}, the skewness of how "
        f"often a sample is a neighbour), so that many queries retrieve them; use {against_hubs(seen.recipe)}, and "
        "look for outliers in the data."
    )


CONDITIONS = (diverged, collapsed, nothing_active, finished, few_dimensions, no_gradient, growing_norm, hubs)
NO_FAULTS = (finished,)

"""What can be wrong with an embedding, each with its sign and its remedy.

A condition is a function of what a callback observes; it returns one sentence, or None where all is well.
"""

import math
from typing import NamedTuple

from metric_lightning.callbacks.embedding_health import Health


class Observation(NamedTuple):
    """What is known of a training at the end of an epoch.

    Attributes:
        health: of the validation embeddings; None where some aren't finite.
        dimensions: of the embedding.
        classes: in the validation set.
        scale: the distance that the loss compares with, its margin; None where it has none.
        loss: the last logged; nan: unknown.
        active: share of active pairs last logged; nan: unknown.
        gradient: median norm of the gradient of all parameters since the last observation; nan: unknown.
        norms: root mean square length of the embeddings at each observation so far, this one the last.
    """

    health: Health | None
    dimensions: int
    classes: int
    scale: float | None
    loss: float
    active: float
    gradient: float = math.nan
    norms: tuple[float, ...] = ()


# Healthy embeddings of MNIST tell classes apart (overlap below 0.15) after the first epoch, at distances above the
# margin; collapsed ones lay below 3% of the margin and above an overlap of 0.2.
_LEAST_DISTANCE = 0.05
_LEAST_SPREAD = 0.05
_MOST_OVERLAP = 0.15
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
    return (
        "Training has diverged: validation embeddings are not finite; lower the learning rate, clip gradients "
        "(trainer.gradient_clip_val) or look for such values in the data."
    )


def collapsed(seen: Observation) -> str | None:
    """All samples lie at one point, as far as the loss can see, and classes aren't told apart."""
    health = seen.health
    if health is None or seen.classes < 2:
        return None
    together = health.spread == 0 or health.spread < _LEAST_SPREAD * health.norm
    if seen.scale is not None:
        together = together or health.negative_distance < _LEAST_DISTANCE * seen.scale
    if not together or not (health.spread == 0 or health.overlap > _MOST_OVERLAP):
        return None
    margin = "" if seen.scale is None else f" against a margin of {seen.scale:g}"
    loss = "" if math.isnan(seen.loss) else f" and the loss stands at {seen.loss:.4g}"
    return (
        f"The embedding has collapsed: samples of different classes lie {health.negative_distance:.2g} apart"
        f"{margin}{loss}; train with a softer miner (RandomHardNegative or SemiHardNegative, or no miner: all pairs or "
        "triplets) in place of the hardest, a lower learning rate, or normalised embeddings."
    )


def nothing_active(seen: Observation) -> str | None:
    """No pair or triplet of a batch pulls any more."""
    if seen.health is None or seen.active != 0 or collapsed(seen) is not None:
        return None
    return (
        "No active pairs or triplets are left: the loss is 0 and nothing more is learned; use a harder miner, a larger "
        "margin or larger batches, or stop here if the figures are good enough."
    )


def few_dimensions(seen: Observation) -> str | None:
    """Many dimensions were asked for and one is used."""
    health = seen.health
    if health is None or seen.dimensions < 4 or seen.classes < 5 or collapsed(seen) is not None:
        return None
    if not health.effective_rank < _FEW_DIMENSIONS:
        return None
    return (
        f"The embedding lies on a line: of its {seen.dimensions} dimensions it uses {health.effective_rank:.1f} "
        "(effective rank); lower the learning rate or the weight decay, or use a softer miner."
    )


def no_gradient(seen: Observation) -> str | None:
    """The loss is not small, and nothing pulls."""
    if not (seen.gradient < _NO_GRADIENT and seen.loss > _A_LOSS) or seen.active == 0 or collapsed(seen) is not None:
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
        "times that of the first epoch; normalise them (normalize: true of the network), add weight decay, or lower "
        "the learning rate."
    )


def hubs(seen: Observation) -> str | None:
    """A few samples are everyone's neighbours."""
    if seen.health is None or not seen.health.hubness > _MOST_HUBNESS or collapsed(seen) is not None:
        return None
    return (
        f"A few samples are among the nearest of many others (hubness {seen.health.hubness:.1f}, the skewness of how "
        "often a sample is a neighbour), so that many queries retrieve them; use fewer dimensions, normalised "
        "embeddings or a cosine distance, and look for outliers in the data."
    )


CONDITIONS = (diverged, collapsed, nothing_active, few_dimensions, no_gradient, growing_norm, hubs)

"""What helps against a fault, of what a run doesn't do already."""

from collections.abc import Sequence
from typing import NamedTuple

# The softer a miner, the earlier; "none" is the softest.
_SOFT_FIRST = ("SemiHardNegative", "RandomHardNegative")
_HARDEST = ("BatchHard", "HardestNegative", "HardNegativePairs")


class Recipe(NamedTuple):
    """How a run trains.

    Attributes:
        pairwise: whether its loss sees distances of pairs, and so takes a miner.
        margin: of the loss; None: it has none.
        miner: name of the miner's class; None: there is none.
        picks_triplets: whether the miner does; else it picks pairs.
        angular: whether lengths of embeddings play no part: they are 1, or the distance is an angle's.
        decays: whether the optimizer has weight decay.
    """

    pairwise: bool = False
    margin: float | None = None
    miner: str | None = None
    picks_triplets: bool = False
    angular: bool = False
    decays: bool = False


def against_collapse(recipe: Recipe) -> str:
    """Return what keeps an embedding from one point: "a lower learning rate or normalised embeddings"."""
    found = [*_softer_miner(recipe), "a lower learning rate"]
    if recipe.decays:
        found.append("less weight decay")
    if not recipe.angular:
        found.append("normalised embeddings (normalize: true of the network)")
    return one_of(found)


def against_a_line(recipe: Recipe) -> str:
    """Return what makes an embedding use its dimensions."""
    return one_of([*_softer_miner(recipe), "a lower learning rate", *(["less weight decay"] if recipe.decays else [])])


def for_more_to_learn(recipe: Recipe) -> str:
    """Return what makes a loss of 0 larger."""
    found = []
    if recipe.pairwise and recipe.miner not in _HARDEST:
        found.append("a harder miner")
    if recipe.margin is not None:
        found.append("a larger margin")
    return one_of([*found, "larger batches"])


def against_hubs(recipe: Recipe) -> str:
    """Return what makes neighbours mutual."""
    return one_of(["fewer dimensions", *([] if recipe.angular else ["normalised embeddings", "a cosine distance"])])


def one_of(choices: Sequence[str]) -> str:
    """Return them as a choice.

    Example:
        >>> one_of(["a"]), one_of(["a", "b", "c"])
        ('a', 'a, b or c')
    """
    return " or ".join([*([", ".join(choices[:-1])] if choices[:-1] else []), choices[-1]])


def _softer_miner(recipe: Recipe) -> list[str]:
    if recipe.miner is None:
        return []
    none = "no miner (all triplets)" if recipe.picks_triplets else "no miner (all pairs)"
    if not recipe.picks_triplets:
        return [none]
    softer = _SOFT_FIRST[: _SOFT_FIRST.index(recipe.miner)] if recipe.miner in _SOFT_FIRST else _SOFT_FIRST
    return [*([f"a softer miner than {recipe.miner} ({one_of(softer)})"] if softer else []), none]

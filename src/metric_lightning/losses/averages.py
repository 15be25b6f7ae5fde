"""What the mean of a loss over pairs is taken over."""

from collections.abc import Callable, Sequence

from torch import Tensor

from metric_lightning.types import Pairs, Ratio


def check_choice(owner: object, name: str, value: str, choices: Sequence[str]) -> str:
    """Return `value`, or raise ValueError where it is none of the choices."""
    if value not in choices:
        allowed = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{type(owner).__name__}: {name} must be {allowed}, got {value!r}")
    return value


def average_pairs(costs: Tensor, counted: Tensor, average: str = "pairs") -> Ratio:
    """Return each anchor's share (N,): "pairs": all pairs weigh the same; "anchors": all anchors do.

    Args:
        costs: (N, P), 0 where not counted.
        counted: (N, P) bool.
        average: "pairs" or "anchors".
    """
    total, count = costs.sum(dim=1), counted.sum(dim=1, dtype=costs.dtype)
    if average == "pairs":
        return Ratio(total, count)
    return Ratio(total / count.clamp_min(1), (count > 0).to(costs.dtype))


def average_sides(share: Callable[[Tensor], Ratio], pairs: Pairs, average: str) -> dict[str, Ratio]:
    """Return the parts of a loss: "pairs": one mean over all pairs; "sides", "active": one over either kind.

    Args:
        share: each anchor's share (N,) of what the pairs of a mask (N, M) cost.
        pairs: which count.
        average: "pairs", "sides" or "active"; `share` knows which pairs count.
    """
    if average != "pairs":
        return {"positive": share(pairs.positive), "negative": share(pairs.negative)}
    return {"pairs": share(pairs.positive | pairs.negative)}


def average_anchors(costs: Tensor, counted: Tensor) -> Ratio:
    """Return the share of each anchor (N,) with a cost each: 0 of 0 where it doesn't count (N,) bool."""
    return Ratio(costs.masked_fill(~counted, 0), counted.to(costs.dtype))

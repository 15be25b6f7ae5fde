"""All triplets of a kind: hard, semi-hard, easy, or all that violate the margin."""

import math
from typing import Literal

from torch import Tensor

from metric_lightning.miners.base import MarginMiner
from metric_lightning.types import Pairs, TripletBand

Kind = Literal["all", "hard", "semi-hard", "easy"]


class TripletMargin(MarginMiner):
    """All triplets with d_an - d_ap in a band; they are never listed, the loss sums over them in closed form.

    "all": d_an - d_ap <= m, all that violate the margin; "hard": d_an <= d_ap; "semi-hard": d_ap < d_an <= d_ap + m;
    "easy": d_an > d_ap + m, for `TripletSoftMarginLoss` or a loss with a larger margin of its own. The names are those
    of FaceNet (Schroff et al. 2015). "hard" alone tends to collapse. `SemiHardNegative` and `RandomHardNegative` draw
    one such negative for each positive pair instead.

    Helps:
        For exact sums over all triplets of a kind, without listing them.

    Collapses:
        With kind `hard` alone from a random start.

    Args:
        kind: which triplets.
        margin: m; None: the loss's own. "semi-hard" needs one above 0.

    Raises:
        ValueError: see `MarginMiner`; another kind.

    Example:
        >>> import torch
        >>> pairs = Pairs(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
        >>> TripletMargin("semi-hard", margin=0.2)(torch.zeros(1, 2), pairs)[1:]
        (0.0, 0.2)
    """

    def __init__(self, kind: Kind = "all", margin: float | None = None):
        super().__init__(margin)
        if kind not in ("all", "hard", "semi-hard", "easy"):
            raise ValueError(f"TripletMargin: kind must be 'all', 'hard', 'semi-hard' or 'easy', got {kind!r}")
        self.kind: Kind = kind
        self.needs_margin = kind == "semi-hard"

    def forward(self, distances: Tensor, pairs: Pairs) -> TripletBand:
        """Return the band of the kind."""
        self.check_margin()
        margin = self.margin_used
        bounds = {
            "all": (-math.inf, margin),
            "hard": (-math.inf, 0.0),
            "semi-hard": (0.0, margin),
            "easy": (margin, math.inf),
        }
        return TripletBand(pairs, *bounds[self.kind])

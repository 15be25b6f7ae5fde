"""Partial FC, on one process."""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.losses import PartialFCLoss
from metric_lightning.types import Pairs, References
from tests.contract.case import Case
from tests.contract.oracles import cosine, mean


def partial_fc(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    costs = []
    for i in range(len(x)):
        y = int(labels[i])
        cosines = [cosine(x[i], weight) for weight in loss.weight]
        own = torch.cos(torch.acos(cosines[y]) + loss.angle_margin) - loss.cosine_margin
        scores = torch.stack([own if c == y else s for c, s in enumerate(cosines)]) * loss.scale
        costs.append(scores.exp().sum().log() - scores[y])
    return mean(costs, x)


CASES = [
    Case(
        "partial-fc", lambda: PartialFCLoss(angle_margin=0.0, cosine_margin=0.2, scale=8.0), partial_fc, pairwise=False
    ),
]

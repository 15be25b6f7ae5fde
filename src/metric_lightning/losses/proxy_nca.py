"""Proxy-NCA (Movshovitz-Attias et al. 2017, No fuss distance metric learning using proxies) and Proxy-NCA++ (Teh et
al. 2020, ProxyNCA++: Revisiting and revitalizing proxy neighborhood component analysis).

N anchors, C classes; d squared Euclidean distance between unit vectors, 2 - 2 cos; y the anchor's class, T temperature.
"""

import torch
from torch import Tensor

from metric_lightning.functional.class_costs import class_costs, own_scores
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import CosineClassLoss


class ProxyNCALoss(CosineClassLoss):
    """-log [exp(-d_y / T) / sum_c exp(-d_c / T)], the mean over anchors: Proxy-NCA++.

    Each class has one proxy, so a batch needs no pairs at all and any batch size works. It fails where a class is no
    single cluster, and on few samples a class; the temperature matters much (1 leaves the proxies nearly unused).

    Proxy-NCA++ has all C proxies in the denominator and T = 1/9: the default. Proxy-NCA leaves the own one out and
    has T = 1: `own_in_denominator: false, temperature: 1.0`.

    Helps:
        Where sampling of pairs is unwanted: any batches do.

    Collapses:
        With proxies that learn too slowly all samples gather between them; raise `loss_lr_scale`.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        temperature: T > 0.
        own_in_denominator: whether the denominator has the own class; without it a single class costs nothing.

    Example:
        >>> loss = ProxyNCALoss(num_classes=2, embedding_dim=2, temperature=2.0)
        >>> loss.weight.data = torch.eye(2)
        >>> loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0]))  # distances 0 and 2: log(1 + exp(-2 / 2))
        tensor(0.3133, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        temperature: float = 1 / 9,
        own_in_denominator: bool = True,
    ):
        super().__init__(num_classes, embedding_dim)
        self.temperature = check_positive(self, "temperature", temperature)
        self.own_in_denominator = own_in_denominator
        self.build_if_sized()

    def cosine_costs(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """Return each anchor's cost (N,)."""
        scale = 2.0 / self.temperature
        if self.own_in_denominator:
            return class_costs(cosines, labels, scale=scale)
        own = own_scores(cosines, labels) * scale
        if cosines.shape[1] == 1:
            return own * 0
        others = (cosines * scale).scatter(1, labels[:, None], -torch.inf)
        return others.logsumexp(dim=1) - own

"""How alike two crops look: by a trained embedding, by the stacked-pair classifier, or by colours alone."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metric_lightning.applications.tracking.data import normalised
from metric_lightning.applications.tracking.pair_classifier import StackedPairModule
from metric_lightning.checkpoints import read_checkpoint
from metric_lightning.errors import DataNotFound
from metric_lightning.modules import EmbeddingModule, MetricModule
from metric_lightning.networks import skip_pretrained_weights


class Appearance(ABC):
    """Crops to features, once a crop; features to distances, once a pair."""

    @abstractmethod
    def features(self, crops: Tensor) -> Tensor:
        """Return what is kept of crops (n, 3, H, W) uint8; first dimension n."""

    @abstractmethod
    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Return (n, m) distances between features of n and of m crops; smaller = more alike."""


class EmbeddingAppearance(Appearance):
    """Euclidean distance of a siamese network's embeddings.

    Args:
        module: trained on `VideoIdentities` or the like.
    """

    def __init__(self, module: MetricModule):
        self.module = module.eval()

    @torch.no_grad()
    def features(self, crops: Tensor) -> Tensor:
        if not len(crops):
            return torch.zeros(0, 1)
        parts = normalised(crops).to(self.module.device).split(512)
        return torch.cat([self.module(part) for part in parts]).float().cpu()

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


class PairAppearance(Appearance):
    """Minus the logit of the stacked-pair classifier: n m passes of the network.

    Args:
        module: trained on `VideoIdentities` or the like.
    """

    def __init__(self, module: StackedPairModule):
        self.module = module.eval()

    def features(self, crops: Tensor) -> Tensor:
        return normalised(crops)

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        n, m = len(first), len(second)
        return -self.module.scores(first.repeat_interleave(m, 0), second.repeat(n, 1, 1, 1)).reshape(n, m)


class ColourHistogram(Appearance):
    """Hellinger distance of colour histograms, of several horizontal stripes each: the baseline without learning.

        d = sqrt(1 - mean over stripes of sum_b sqrt(p_b q_b))     p, q: shares of pixels in bin b

    Args:
        bins: per colour channel (RGB).
        stripes: of equal height, from top to bottom.

    Example:
        >>> red, blue = torch.zeros(2, 1, 3, 6, 3, dtype=torch.uint8)
        >>> red[:, 0], blue[:, 2] = 255, 255
        >>> colours = ColourHistogram()
        >>> colours.distances(colours.features(red), colours.features(torch.cat([red, blue])))
        tensor([[0., 1.]])
    """

    def __init__(self, bins: int = 8, stripes: int = 3):
        if bins < 1 or stripes < 1:
            raise ValueError(f"bins and stripes must be at least 1, got bins={bins}, stripes={stripes}")
        self.bins, self.stripes = bins, stripes

    def features(self, crops: Tensor) -> Tensor:
        levels = crops.long() * self.bins // 256
        cells = (levels[:, 0] * self.bins + levels[:, 1]) * self.bins + levels[:, 2]
        found = []
        for stripe in cells.tensor_split(self.stripes, dim=1):
            counts = torch.zeros(len(crops), self.bins**3)
            pixels = stripe.flatten(1)
            counts.scatter_add_(1, pixels, torch.ones(pixels.shape))
            found.append(counts / max(1, pixels.shape[1]))
        return torch.cat(found, 1)

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        alike = first.sqrt() @ second.sqrt().T / self.stripes
        return (1 - alike).clamp_min(0).sqrt()


class RememberedAppearance(Appearance):
    """Another appearance on one fixed set of crops, each pair judged once, when it is first asked for.

    For many trackers on the same crops: the stacked-pair classifier passes its network for every pair. Its features are
    the crops' places in the set.

    Args:
        appearance: judges.
        crops: (n, 3, H, W) uint8, all there will be.
    """

    def __init__(self, appearance: Appearance, crops: Tensor):
        self.appearance = appearance
        self._features = appearance.features(crops)
        self._known = torch.full((len(crops), len(crops)), torch.nan)

    def features(self, crops: Tensor) -> Tensor:
        """Return places 0 .. n - 1.

        Raises:
            ValueError: these can't be the crops of the set: there are not as many.
        """
        if len(crops) != len(self._features):
            raise ValueError(f"{len(self._features)} crops are remembered, but {len(crops)} given; give the same")
        return torch.arange(len(crops))

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        block = self._known[first[:, None], second[None]]
        unknown = block.isnan()
        rows, columns = unknown.any(1), unknown.any(0)
        if rows.any():
            asked = first[rows][:, None], second[columns][None]
            made = self.appearance.distances(self._features[first[rows]], self._features[second[columns]])
            self._known[asked] = made
            block = self._known[first[:, None], second[None]]
        return block


def appearance_of(checkpoint: str | Path) -> EmbeddingAppearance | PairAppearance:
    """Return the appearance that a checkpoint's module makes, an embedding's or a pair classifier's.

    Raises:
        DataNotFound: there is no such file.
    """
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise DataNotFound(f"there is no checkpoint {path}; train one with a YAML of experiments/tracking")
    hyperparameters: dict[str, Any] = read_checkpoint(path)["hyper_parameters"]
    with skip_pretrained_weights():
        if "loss" not in hyperparameters:
            return PairAppearance(StackedPairModule.load_from_checkpoint(path, map_location="cpu"))
        return EmbeddingAppearance(EmbeddingModule.load_from_checkpoint(path, map_location="cpu"))

"""What stands between a backbone's features and the embedding.

n inputs, F features, D components of an embedding.
"""

from abc import ABC, abstractmethod

from torch import nn

from metric_lightning.parts import Part


class Head(Part, ABC):
    """Says how features (n, F) become embeddings (n, D); named in YAML under a backbone's `head`."""

    @abstractmethod
    def make(self, features: int, embedding_dim: int) -> nn.Module:
        """Return fresh layers that map (n, features) to (n, embedding_dim)."""


class LinearHead(Head):
    """One linear layer, as PyTorch initialises it; dropout before it.

    Args:
        dropout: share of features dropped in training, 0 to below 1.
        bias: whether the layer has one.

    Raises:
        ValueError: dropout out of its range.

    Example:
        >>> LinearHead().make(512, 64)
        Linear(in_features=512, out_features=64, bias=True)
    """

    def __init__(self, dropout: float = 0.0, bias: bool = True):
        self.dropout = _share(dropout)
        self.bias = bias

    def make(self, features: int, embedding_dim: int) -> nn.Module:
        linear = nn.Linear(features, embedding_dim, bias=self.bias)
        return nn.Sequential(nn.Dropout(self.dropout), linear) if self.dropout else linear


class NormalizedHead(Head):
    """Features brought to mean 0 and deviation 1 (layer normalisation without weights), then one linear layer.

    Args:
        dropout: share of features dropped in training, 0 to below 1.

    Raises:
        ValueError: dropout out of its range.

    References:
        A. Zhai, H.-Y. Wu, Classification is a Strong Baseline for Deep Metric Learning, 2019,
        https://arxiv.org/abs/1811.12649

    Example:
        >>> import torch
        >>> head = NormalizedHead().make(4, 2)
        >>> features = torch.tensor([[10.0, -20.0, 30.0, 0.0]])
        >>> torch.allclose(head(features), head(features * 9 + 1), atol=1e-4)
        True
    """

    def __init__(self, dropout: float = 0.0):
        self.dropout = _share(dropout)

    def make(self, features: int, embedding_dim: int) -> nn.Module:
        norm = nn.LayerNorm(features, elementwise_affine=False)
        return nn.Sequential(norm, nn.Dropout(self.dropout), nn.Linear(features, embedding_dim))


class MLPHead(Head):
    """Hidden layers (linear, batch normalisation, ReLU, dropout), then a linear one.

    Args:
        hidden_dim: outputs of each hidden layer.
        hidden_layers: how many.
        dropout: share dropped behind each in training, 0 to below 1.

    Raises:
        ValueError: a number below 1, or dropout out of its range.

    Example:
        >>> sum(value.numel() for value in MLPHead(hidden_dim=8).make(4, 2).parameters())
        66
    """

    def __init__(self, hidden_dim: int = 512, hidden_layers: int = 1, dropout: float = 0.0):
        if hidden_dim < 1 or hidden_layers < 1:
            raise ValueError(
                f"MLPHead: hidden_dim and hidden_layers must be at least 1, got {hidden_dim} and {hidden_layers}; a "
                "LinearHead has no hidden layer"
            )
        self.hidden_dim = hidden_dim
        self.hidden_layers = hidden_layers
        self.dropout = _share(dropout)

    def make(self, features: int, embedding_dim: int) -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(self.hidden_layers):
            # Batch normalisation has a shift of its own.
            layers += [nn.Linear(features, self.hidden_dim, bias=False), nn.BatchNorm1d(self.hidden_dim), nn.ReLU()]
            layers.append(nn.Dropout(self.dropout))
            features = self.hidden_dim
        return nn.Sequential(*layers, nn.Linear(features, embedding_dim))


def _share(dropout: float) -> float:
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1, got {dropout}")
    return dropout

"""Any torchvision classification model, its classifier replaced by an embedding head."""

from difflib import get_close_matches
from typing import Any, cast

import torch
import torchvision.models
from torch import Tensor, nn

from metric_lightning.networks.base import EmbeddingNetwork, image_shape
from metric_lightning.networks.pretraining import (
    load_all_but_head,
    pretrained_state,
    pretrained_weights_are_skipped,
)

# Outputs of a torchvision classifier unless told otherwise: how its last layer is known.
_CLASSES = 1000


class TorchvisionBackbone(EmbeddingNetwork):
    """A torchvision classification model with an embedding head in the place of its last layer.

    What stands before the last layer stays, a dropout too; a ReLU after it (SqueezeNet) goes, for
    embeddings may be negative. The head starts as PyTorch's `Linear` (or `Conv2d`) does by default.
    Auxiliary classifiers (GoogLeNet, Inception) are left out. An image with one channel is shown as
    three equal ones.

    Args:
        name: any of `torchvision.models.list_models(module=torchvision.models)`: "resnet18",
            "convnext_tiny", ...
        weights: None: random, as torchvision initialises the architecture. "DEFAULT" or another of
            torchvision's names ("IMAGENET1K_V1"): downloaded when the network is built. Else the
            path of a state dict of the torchvision model, with a classifier of any size; it is read
            with `weights_only=True`. Normalise the images as the weights expect: mean
            (0.485, 0.456, 0.406) and standard deviation (0.229, 0.224, 0.225) for ImageNet.
        embedding_dim: number of components of an embedding.
        normalize: scale embeddings to unit length.
        input_shape: (channels, height, width) of one image, 1 or 3 channels; None: taken from the
            data by the module. A vision transformer is made for this very size; its published
            weights for 224 x 224 (or as published).

    Shape:
        (n, 1 or 3, height, width) to (n, embedding_dim).

    Raises:
        ValueError: unknown `name` or `weights`, weights of another architecture, or an image that
            the model can't take (too small, not square, ...).
        OSError: weights can't be downloaded.

    Example:
        >>> network = TorchvisionBackbone("resnet18", embedding_dim=64, input_shape=(1, 32, 32))
        >>> network(torch.randn(2, 1, 32, 32)).shape
        torch.Size([2, 64])
        >>> TorchvisionBackbone("resnet-18")
        Traceback (most recent call last):
        ...
        ValueError: TorchvisionBackbone: name='resnet-18' is ... nearest: resnet18, ...
    """

    def __init__(
        self,
        name: str,
        weights: str | None = None,
        embedding_dim: int = 128,
        normalize: bool = False,
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(embedding_dim, normalize)
        names = torchvision.models.list_models(module=torchvision.models)
        if name not in names:
            nearest = get_close_matches(name.lower(), names, n=3, cutoff=0.4) or names[:3]
            raise ValueError(
                f"TorchvisionBackbone: name={name!r} is no torchvision classification model; "
                f"nearest: {', '.join(nearest)}"
            )
        self.name = name
        self.weights = weights
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the backbone with its head; a lone channel is repeated before it."""
        channels, height, width = image_shape(self, input_shape)
        if channels not in (1, 3):
            raise ValueError(f"TorchvisionBackbone takes images of 1 or 3 channels, got input_shape={input_shape}")
        pretrained = self.weights is not None and not pretrained_weights_are_skipped()
        try:
            model = _make_model(self.name, height, width, self.weights is not None)
        except (AssertionError, ValueError) as error:
            raise ValueError(_refusal(self.name, input_shape, error)) from error
        head = _head(model)
        if pretrained:
            assert self.weights is not None
            load_all_but_head(model, head, pretrained_state(self.name, self.weights))
        _replace_head(model, head, self.embedding_dim)
        try:
            _check_output(model, height, width, self.embedding_dim)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(_refusal(self.name, input_shape, error)) from error
        return nn.Sequential(RepeatChannel(), model) if channels == 1 else model


class RepeatChannel(nn.Module):
    """Shows an image of one channel as three equal ones: (n, 1, h, w) to (n, 3, h, w)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return `images` with their channel three times."""
        return images.expand(-1, 3, -1, -1)


def _make_model(name: str, height: int, width: int, pretrained: bool) -> nn.Module:
    """Return torchvision's model with random weights, without auxiliary classifiers."""
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # Their published weights want another normalisation than ImageNet's: transform_input.
        options = {"aux_logits": False, "init_weights": True, "transform_input": pretrained}
    elif name.startswith("vit_"):
        if height != width:
            raise ValueError("it takes square images only")
        options = {"image_size": height}
    elif name.startswith("maxvit_"):
        options = {"input_size": (height, width)}
    model: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return model


def _head(model: nn.Module) -> str:
    """Return the name of the one layer whose outputs are the classes."""
    (name,) = (
        name
        for name, layer in model.named_modules()
        if _CLASSES in (getattr(layer, "out_features", None), getattr(layer, "out_channels", None))
    )
    return name


def _replace_head(model: nn.Module, name: str, embedding_dim: int) -> None:
    """Put a fresh layer in the place of `name`, and nothing in the place of a ReLU after it."""
    parent_name, _, leaf = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    old = model.get_submodule(name)
    if isinstance(old, nn.Conv2d):
        setattr(parent, leaf, nn.Conv2d(old.in_channels, embedding_dim, kernel_size=1))
    else:
        setattr(parent, leaf, nn.Linear(cast(nn.Linear, old).in_features, embedding_dim))
    children = list(parent.named_children())
    position = [child for child, _ in children].index(leaf)
    for child, layer in children[position + 1 :]:
        if isinstance(layer, nn.ReLU):
            setattr(parent, child, nn.Identity())


def _check_output(model: nn.Module, height: int, width: int, embedding_dim: int) -> None:
    """Push an image through the model on the meta device: shapes only, at next to no cost."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    ghosts = {name: torch.empty_like(value, device="meta") for name, value in tensors.items()}
    image = torch.empty(1, 3, height, width, device="meta")
    training = model.training
    model.eval()
    try:
        shape = tuple(torch.func.functional_call(model, ghosts, (image,)).shape)
    finally:
        model.train(training)
    if shape != (1, embedding_dim):
        raise ValueError(f"it gives {shape} instead of {(1, embedding_dim)}")


def _refusal(name: str, input_shape: tuple[int, ...], error: Exception) -> str:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return f"TorchvisionBackbone: {name} can't take images of input_shape={input_shape}: {reason}"

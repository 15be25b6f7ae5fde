"""Any torchvision classification model, without its classifier, and an embedding head behind it."""

from difflib import get_close_matches
from typing import Any

import torchvision.models
from torch import nn

from metric_lightning.networks.backbone import Backbone, number_of_features, refusal
from metric_lightning.networks.heads import Head
from metric_lightning.networks.pretraining import (
    load_all_but_head,
    pretrained_state,
    pretrained_weights_are_skipped,
)

# Outputs of a torchvision classifier unless told otherwise: how its last layer is known.
_CLASSES = 1000


class TorchvisionBackbone(Backbone):
    """A torchvision classification model with an embedding head in the place of its last layer.

    What stands before the last layer stays, a dropout too; a ReLU after it (SqueezeNet) goes, for
    embeddings may be negative. Auxiliary classifiers (GoogLeNet, Inception) are left out. An image
    with one channel is shown as three equal ones.

    Args:
        name: any of `torchvision.models.list_models(module=torchvision.models)`: "resnet18",
            "convnext_tiny", ...
        weights: None: random, as torchvision initialises the architecture. "DEFAULT" or another of
            torchvision's names ("IMAGENET1K_V1"): downloaded when the network is built. Else the
            path of a state dict of the torchvision model, with a classifier of any size; it is read
            with `weights_only=True`. Normalise the images as the weights expect: mean
            (0.485, 0.456, 0.406) and standard deviation (0.229, 0.224, 0.225) for ImageNet
            (`preset` of the data does it).
        embedding_dim: number of components of an embedding.
        normalize: scale embeddings to unit length.
        head: what stands in the place of the last layer; None: `LinearHead()`.
        frozen: all but the head never changes, see `Backbone`; its features can be cached (`callbacks.CachedFeatures`).
        lr_scale: learning rate of all but the head, in units of the head's.
        freeze_batch_norm: batch normalisation never changes.
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
        >>> import torch
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
        head: Head | None = None,
        frozen: bool = False,
        lr_scale: float = 1.0,
        freeze_batch_norm: bool = False,
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(embedding_dim, normalize, head, frozen, lr_scale, freeze_batch_norm)
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

    def make_trunk(self, input_shape: tuple[int, int, int]) -> tuple[nn.Module, int]:
        _, height, width = input_shape
        try:
            model = _make_model(self.name, height, width, self.weights is not None)
        except (AssertionError, ValueError) as error:
            raise ValueError(refusal(self, self.name, input_shape, error)) from error
        head = _head(model)
        if self.weights is not None and not pretrained_weights_are_skipped():
            load_all_but_head(model, (head,), pretrained_state(self.name, self.weights))
        _remove(model, head)
        try:
            return model, number_of_features(model, height, width)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(refusal(self, self.name, input_shape, error)) from error


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


def _remove(model: nn.Module, name: str) -> None:
    """Put nothing in the place of the layer `name`, nor of a ReLU after it.

    A convolution there (SqueezeNet) is followed by the mean over all places, and a linear head after the mean is the
    same as one before it.
    """
    parent_name, _, leaf = name.rpartition(".")
    parent = model.get_submodule(parent_name)
    setattr(parent, leaf, nn.Identity())
    children = list(parent.named_children())
    position = [child for child, _ in children].index(leaf)
    for child, layer in children[position + 1 :]:
        if isinstance(layer, nn.ReLU):
            setattr(parent, child, nn.Identity())

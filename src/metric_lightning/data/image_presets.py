"""How published weights want their pictures prepared."""

from difflib import get_close_matches
from typing import Any, Literal

import torchvision.models
from torchvision.models import get_model_weights

from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.errors import UserError

TIMM = "timm/"


def preset(name: str) -> Preprocessing:
    """Return the evaluation preprocessing that a backbone's weights were published with; downloads nothing.

    Args:
        name: a torchvision classification model ("resnet50", its default weights), one with its weights
            ("resnet50:IMAGENET1K_V1"), or a timm model ("timm/vit_small_patch14_dinov2.lvd142m").

    Raises:
        UserError: there is no such model, or no such weights, or timm isn't installed.

    Example:
        >>> preset("resnet18:IMAGENET1K_V1").resize, preset("resnet18").size
        (256, (224, 224))
    """
    if name.startswith(TIMM):
        return _of_timm(name.removeprefix(TIMM))
    model, _, weights = name.partition(":")
    names = torchvision.models.list_models(module=torchvision.models)
    if model not in names:
        near = get_close_matches(model.lower(), names, n=3, cutoff=0.4) or names[:3]
        raise UserError(f"preset {name!r} is no torchvision classification model; nearest: {', '.join(near)}")
    published = get_model_weights(model)
    if weights and weights not in published.__members__:
        raise UserError(f"preset {name!r}: {model} has the weights {', '.join(published.__members__)}")
    transforms = published[weights or "DEFAULT"].transforms()
    (size,), (resize,) = transforms.crop_size, transforms.resize_size
    mode = _mode(transforms.interpolation.value)
    return Preprocessing(3, (size, size), resize, tuple(transforms.mean), tuple(transforms.std), mode)


def _of_timm(name: str) -> Preprocessing:
    try:
        import timm
    except ImportError as error:
        raise UserError(
            f"preset {TIMM}{name} needs timm, which isn't installed: pip install 'metric_lightning[timm]'"
        ) from error
    found: Any = timm.get_pretrained_cfg(name)
    if found is None or not timm.is_model(name.split(".")[0]):
        near = get_close_matches(name, timm.list_models(), n=3, cutoff=0.4)
        raise UserError(f"preset {TIMM}{name} is no timm model; nearest: {', '.join(near) or 'none'}")
    channels, height, width = found.input_size
    if height != width or channels != 3:
        raise UserError(f"preset {TIMM}{name} wants inputs of {found.input_size}; give size, mean and std instead")
    resize = int(height / found.crop_pct)
    return Preprocessing(3, (height, width), resize, tuple(found.mean), tuple(found.std), _mode(found.interpolation))


def _mode(name: str) -> Literal["bilinear", "bicubic"]:
    return "bilinear" if name == "bilinear" else "bicubic"

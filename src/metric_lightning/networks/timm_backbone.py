"""Any timm model, without its classifier, and an embedding head behind it."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from metric_lightning.networks.backbone import Backbone, number_of_features, refusal
from metric_lightning.networks.heads import Head
from metric_lightning.networks.pretraining import load_all_but_head, pretrained_weights_are_skipped, read_state

_MISFITS = (AssertionError, RuntimeError, ValueError, TypeError)


class TimmBackbone(Backbone):
    """A model of timm (`pip install 'metric_lightning[timm]'`) by name, with an embedding head.

    Args:
        name: a timm model, with the tag of its weights or without: "resnet50.a1_in1k", "vit_small_patch14_dinov2".
        weights: None: random, as timm initialises the architecture. "DEFAULT": timm's for this name, downloaded when
            the network is built. Else the path of a state dict of the timm model, .safetensors or saved by `torch.save`
            (read with `weights_only=True`), with a classifier of any size. Prepare images as the weights expect:
            `preset: timm/NAME` of the data.
        embedding_dim: number of components of an embedding.
        normalize: scale embeddings to unit length.
        head: None: `LinearHead()`.
        frozen: the trunk never changes, see `Backbone`.
        lr_scale: learning rate of the trunk in units of the head's.
        freeze_batch_norm: the trunk's batch normalisation never changes.
        input_shape: (channels, height, width) of one image, 1 or 3 channels; None: taken from the data by the module. A
            vision transformer is made for this very size.

    Shape:
        (n, 1 or 3, height, width) to (n, embedding_dim).

    Raises:
        ValueError: unknown `name` or `weights`, weights of another architecture, an image that the model can't take, or
            timm isn't installed.
        OSError: weights can't be downloaded.

    References:
        R. Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models
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
        timm = _timm()
        if not timm.is_model(name.split(".")[0]):
            nearest = get_close_matches(name.lower(), timm.list_models(), n=3, cutoff=0.4)
            raise ValueError(
                f"TimmBackbone: name={name!r} is no model of timm; nearest: {', '.join(nearest) or 'none'}"
            )
        self.name = name
        self.weights = weights
        if input_shape is not None:
            self.build(input_shape)

    def make_trunk(self, input_shape: tuple[int, int, int]) -> tuple[nn.Module, int]:
        pretrained = self.weights is not None and not pretrained_weights_are_skipped()
        model, features = self._model(input_shape, pretrained and self.weights == "DEFAULT")
        if pretrained and self.weights != "DEFAULT":
            assert self.weights is not None
            if not Path(self.weights).is_file():
                raise ValueError(f"weights={self.weights!r} of {self.name} is neither a file nor DEFAULT")
            load_all_but_head(model, self._classifiers(), _state(Path(self.weights)))
        return model, features

    def _classifiers(self) -> tuple[str, ...]:
        """Return the names of the layers whose outputs are classes, which a file may hold and the model lacks."""
        found = getattr(_timm().get_pretrained_cfg(self.name), "classifier", None) or ()
        return (found,) if isinstance(found, str) else tuple(found)

    def _model(self, input_shape: tuple[int, int, int], download: bool) -> tuple[nn.Module, int]:
        """Return the model and F; made for its own size, or, where it can't take ours then, for ours."""
        _, height, width = input_shape
        problem: Exception | None = None
        options: dict[str, Any]
        for options in ({}, {"img_size": (height, width)}):
            try:
                model = self._create(False, options)
                features = number_of_features(model, height, width)
            except _MISFITS as error:
                problem = problem or error
                continue
            return (self._create(True, options) if download else model), features
        assert problem is not None
        raise ValueError(refusal(self, self.name, input_shape, problem)) from problem

    def _create(self, download: bool, options: dict[str, Any]) -> nn.Module:
        try:
            model: nn.Module = _timm().create_model(self.name, pretrained=download, num_classes=0, **options)
        except Exception as error:  # the hub's errors are of many kinds
            if not download:
                raise
            raise OSError(
                f"weights='DEFAULT' of {self.name} can't be downloaded ({' '.join(str(error).split())[:200]}); fetch "
                "them elsewhere and give the file's path as weights"
            ) from error
        return model


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ValueError(
            "TimmBackbone needs timm, which isn't installed: pip install 'metric_lightning[timm]'"
        ) from error
    return timm


def _state(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return read_state(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"weights={str(path)!r} can't be read as weights ({error}); fetch the file again") from error
    return state

"""Pretrained weights of a torchvision backbone: which there are, and how they get into a model."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

_skipped: ContextVar[bool] = ContextVar("pretrained weights are skipped", default=False)


@contextmanager
def skip_pretrained_weights() -> Iterator[None]:
    """Within this block backbones start at random: for a network about to be filled from a
    checkpoint.

    The checkpoint then suffices: neither a download nor the weights file of long ago is asked for.

    Example:
        >>> from metric_lightning.networks import TorchvisionBackbone
        >>> with skip_pretrained_weights():
        ...     network = TorchvisionBackbone("resnet18", "DEFAULT", input_shape=(3, 32, 32))
    """
    token = _skipped.set(True)
    try:
        yield
    finally:
        _skipped.reset(token)


def pretrained_weights_are_skipped() -> bool:
    """Say whether this runs within `skip_pretrained_weights`."""
    return _skipped.get()


def pretrained_state(name: str, weights: str) -> dict[str, Tensor]:
    """Return the state dict that `weights` means for the torchvision model `name`.

    Args:
        name: a torchvision model.
        weights: "DEFAULT" or another of torchvision's names for the model's weights (downloaded
            once, then found in torch's cache), or the path of a state dict saved by `torch.save`.

    Raises:
        ValueError: `weights` is neither, or the file holds no state dict.
        OSError: the download failed.
    """
    published = get_model_weights(name)
    if weights in published.__members__:
        try:
            state: dict[str, Tensor] = published[weights].get_state_dict(check_hash=True)
        except OSError as error:
            raise OSError(
                f"weights={weights!r} of {name} can't be downloaded ({error}); "
                f"fetch {published[weights].url} elsewhere and give the file's path as weights"
            ) from error
        return state
    if Path(weights).is_file():
        return read_state(Path(weights))
    names = list(published.__members__)
    nearest = get_close_matches(weights.upper(), names, n=1) or names[:1]
    raise ValueError(
        f"weights={weights!r} is neither a file nor a name of {name}'s weights "
        f"({', '.join(names)}); nearest: {', '.join(nearest)}"
    )


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file; nothing in it is executed.

    Raises:
        ValueError: it holds none.
    """
    remedy = "save a state dict by torch.save(model.state_dict(), path)"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, UnpicklingError) as error:
        raise ValueError(f"weights={str(path)!r} can't be read as weights; {remedy}") from error
    if not isinstance(state, dict) or not all(torch.is_tensor(value) for value in state.values()):
        raise ValueError(f"weights={str(path)!r} holds more than names and tensors; {remedy}")
    # torchvision's own older DenseNet files write "norm.1" where the model has "norm1".
    old = re.compile(r"(\.denselayer\d+\.(norm|conv))\.(\d)\.")
    return {old.sub(r"\1\3.", name): value for name, value in state.items()}


def load_all_but_head(model: nn.Module, heads: tuple[str, ...], state: dict[str, Tensor]) -> None:
    """Copy `state` into `model`, save the layers named in `heads` and torchvision's auxiliary
    classifiers.

    Raises:
        ValueError: anything else is missing, left over or of another shape.
    """
    # The old head's classes are of no use, and the auxiliary classifiers are gone from `model`.
    aside = (*(f"{head}." for head in heads), "aux1.", "aux2.", "AuxLogits.")
    own = {key: v for key, v in model.state_dict().items() if not key.startswith(aside)}
    given = {key: v for key, v in state.items() if not key.startswith(aside)}
    # Batch norms saved before 2017 have no such counter; it starts at 0.
    counter = "num_batches_tracked"
    missing = sorted(key for key in own.keys() - given.keys() if not key.endswith(counter))
    unexpected = sorted(given.keys() - own.keys())
    common = own.keys() & given.keys()
    reshaped = sorted(key for key in common if own[key].shape != given[key].shape)
    problems = {"lack": missing, "hold the unknown": unexpected, "have another size of": reshaped}
    for problem, names in problems.items():
        if names:
            shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
            raise ValueError(
                f"the weights don't fit {type(model).__name__}: they {problem} {shown}; "
                "give weights of this very architecture and input size"
            )
    model.load_state_dict(given, strict=False)

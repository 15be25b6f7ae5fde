"""What a loss must be given, said in one sentence where it is not: N anchors, M references, D dimensions."""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.labels import shown
from metric_lightning.types import Pairs, References

_INDICES = (torch.int64, torch.int32)


def check_batch(
    embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
) -> None:
    """Raise ValueError where types or shapes don't fit, in one sentence; a device is not waited for."""
    _check_rows("embeddings", embeddings, labels)
    columns = embeddings
    if references is not None:
        _check_references(references, embeddings)
        columns = references.embeddings
    if pairs is not None:
        _check_pairs(pairs, (len(embeddings), len(columns)))


def _check_pairs(pairs: Any, shape: tuple[int, int]) -> None:
    wrong = [pairs]
    if isinstance(pairs, Pairs):
        masks = (pairs.positive, pairs.negative)
        wrong = [mask for mask in masks if not _is(mask, (torch.bool,), shape)]
    if wrong:
        found = shown(wrong[0]) if isinstance(pairs, Pairs) else type(pairs).__name__
        raise ValueError(f"pairs must be Pairs(positive, negative), both torch.bool of shape {shape}, got {found}")


def _is(value: Any, dtypes: tuple[torch.dtype, ...], shape: tuple[int, ...]) -> bool:
    return isinstance(value, Tensor) and value.dtype in dtypes and value.shape == shape


def _check_references(references: Any, embeddings: Tensor) -> None:
    if not isinstance(references, References):
        kind = type(references).__name__
        raise ValueError(f"references must be References(embeddings, labels, own), got {kind}")
    _check_rows("references", references.embeddings, references.labels)
    if embeddings.shape[1] != references.embeddings.shape[1]:
        raise ValueError(
            f"embeddings have {embeddings.shape[1]} dimensions, the references {references.embeddings.shape[1]}"
        )
    for name in ("own", "numbers"):
        given = getattr(references, name)
        if given is not None and not _is(given, _INDICES, (len(embeddings),)):
            wanted = f"torch.int64 of shape ({len(embeddings)},), one for each anchor"
            raise ValueError(f"{name} of the references must be {wanted}, got {shown(given)}")
    own = references.own
    if own is not None and own.device.type == "cpu" and len(own):  # elsewhere a look at values would be waited for
        low, high = (int(number) for number in own.aminmax())
        if low < 0 or high >= len(references.embeddings):
            columns = len(references.embeddings)
            raise ValueError(f"own of the references must be 0 to {columns - 1}, got {low if low < 0 else high}")


def _check_rows(name: str, rows: Tensor, labels: Tensor) -> None:
    for what, given in ((name, rows), (f"labels of the {name}", labels)):
        if not isinstance(given, Tensor):
            raise ValueError(f"{what} must be a tensor, got {shown(given)}; torch.as_tensor makes one")
    if rows.ndim != 2 or not rows.is_floating_point():
        raise ValueError(f"{name} must be (batch, embedding_dim), floating point numbers, got {shown(rows)}")
    if labels.ndim == 0 or len(labels) != len(rows):
        number = len(labels) if labels.ndim else "no row of"
        raise ValueError(f"got {number} labels for {len(rows)} {name}; one for each is needed")

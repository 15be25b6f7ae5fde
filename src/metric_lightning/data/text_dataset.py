"""Texts held in memory."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metric_lightning.data.batch import Batch
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.text_encoding import Characters, TextEncoding
from metric_lightning.functional.sequences import padded
from metric_lightning.types import Sequences


class TextDataset(LabelledDataset):
    """Texts as sequences of tokens; an input is (T,) int64.

    Args:
        texts: n texts.
        labels: (n,) integers.
        class_names: of all classes.
        encoding: how text becomes tokens; None: `Characters()`.

    Attributes:
        texts: as given.

    Example:
        >>> batch = TextDataset(["one", "two!"], [0, 1], ["a", "b"]).__getitems__([0, 1])
        >>> batch.inputs.lengths.tolist(), batch.inputs.steps[0].tolist()
        ([4, 5], [113, 112, 103, 1, 0])
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Tensor | Sequence[int],
        class_names: Sequence[str],
        encoding: TextEncoding | None = None,
    ):
        encoding = Characters() if encoding is None else encoding
        super().__init__(labels, class_names, (encoding.size,))
        if len(texts) != len(self.labels):
            raise ValueError(f"labels must be as many as texts, got {len(self.labels)} for {len(texts)}")
        self.texts = list(texts)
        self._tokens = [encoding.encode(text) for text in self.texts]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._tokens[index], int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        empty = Sequences(torch.zeros(0, 0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
        inputs = padded([self._tokens[index] for index in indices]) if len(indices) else empty
        return Batch(inputs, self.labels[chosen], chosen)

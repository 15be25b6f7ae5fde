"""A long short-term memory that reads sequences of any length: text, pen strokes."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from metric_lightning.networks.base import EmbeddingNetwork
from metric_lightning.types import Sequences

Reading = Literal["last", "mean", "max"]


class LSTMNet(EmbeddingNetwork):
    """Reads each sequence step by step; the embedding is made of what it has read.

        [vocabulary: an embedding for each token,] `layers` x LSTM, reading of the states [, linear embedding_dim]

    Sequences of a batch are packed: a sequence's embedding does not depend on how far the batch is filled up. With
    `linear=False` the states are the embedding themselves, as in the MaLSTM of Mueller and Thyagarajan 2016 (one layer,
    one direction, the last state), and embedding_dim is hidden_size, twice that of both directions.

    Args:
        embedding_dim: number of components of an embedding; None: that of the states, without a linear layer.
        hidden_size: of each direction.
        layers: of the LSTM.
        bidirectional: also read backwards.
        reading: "last": the last state of each direction; "mean" or "max" of the states of all steps.
        token_dim: components of a token's embedding, for sequences of tokens.
        tokens: whether steps are tokens of a vocabulary, and not features.
        dropout: between the layers of the LSTM, and in front of the linear one.
        normalize: scale embeddings to unit length.
        input_shape: (F,) features of a step, or (V,) size of the vocabulary; None: taken from the data by the module.

    Shape:
        `Sequences` of n to (n, embedding_dim).

    Raises:
        ValueError: a number below 1, dropout outside [0, 1), an unknown reading, or an input that is no sequence.

    References:
        Mueller, Thyagarajan: Siamese recurrent architectures for learning sentence similarity (AAAI 2016).
        Graves, Schmidhuber: Framewise phoneme classification with bidirectional LSTM (Neural Networks 2005).

    Example:
        >>> network = LSTMNet(embedding_dim=4, hidden_size=8, tokens=True, input_shape=(10,))
        >>> network(Sequences(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1]))).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        embedding_dim: int | None = 64,
        hidden_size: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        reading: Reading = "last",
        token_dim: int = 32,
        tokens: bool = False,
        dropout: float = 0.0,
        normalize: bool = False,
        input_shape: tuple[int] | None = None,
    ):
        for name, value in (("hidden_size", hidden_size), ("layers", layers), ("token_dim", token_dim)):
            if value < 1:
                raise ValueError(f"LSTMNet: {name} must be at least 1, got {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"LSTMNet: dropout must lie in [0, 1), got {dropout}")
        if reading not in ("last", "mean", "max"):
            raise ValueError(f"LSTMNet: reading must be 'last', 'mean' or 'max', got {reading!r}")
        self.linear = embedding_dim is not None
        states = hidden_size * (2 if bidirectional else 1)
        super().__init__(states if embedding_dim is None else embedding_dim, normalize)
        self.hidden_size, self.number_of_layers, self.bidirectional = hidden_size, layers, bidirectional
        self.reading: Reading = reading
        self.token_dim, self.tokens, self.dropout = token_dim, tokens, dropout
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the layers for sequences of F features, or of V tokens, a step."""
        if len(input_shape) != 1:
            raise ValueError(f"LSTMNet reads sequences: input_shape must be (features of a step,), got {input_shape}")
        width = self.token_dim if self.tokens else input_shape[0]
        first = nn.Embedding(input_shape[0], self.token_dim) if self.tokens else nn.Identity()
        between = self.dropout if self.number_of_layers > 1 else 0.0
        memory = nn.LSTM(
            width, self.hidden_size, self.number_of_layers, batch_first=True, dropout=between,
            bidirectional=self.bidirectional,
        )  # fmt: skip
        states = self.hidden_size * (2 if self.bidirectional else 1)
        last = (
            nn.Sequential(nn.Dropout(self.dropout), nn.Linear(states, self.embedding_dim))
            if self.linear
            else nn.Identity()
        )
        return _Reader(first, memory, last, self.reading)


class _Reader(nn.Module):
    def __init__(self, first: nn.Module, memory: nn.LSTM, last: nn.Module, reading: Reading):
        super().__init__()
        self.first, self.memory, self.last = first, memory, last
        self.reading: Reading = reading
        self._width = memory.hidden_size * (2 if memory.bidirectional else 1)

    def forward(self, inputs: Sequences) -> Tensor:
        steps, lengths = inputs
        if len(lengths):
            read = self._read(self.first(steps), lengths)
        else:  # nothing can't be packed
            read = torch.zeros(0, self._width, device=steps.device)
        embeddings: Tensor = self.last(read)
        return embeddings

    def _read(self, steps: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, (last, _) = self.memory(packed)
        if self.reading == "last":
            directions = 2 if self.memory.bidirectional else 1
            return torch.cat(list(last[-directions:]), dim=1)
        every, _ = pad_packed_sequence(states, batch_first=True)
        beyond = torch.arange(every.shape[1], device=every.device) >= lengths[:, None].to(every.device)
        if self.reading == "max":
            return every.masked_fill(beyond[..., None], -torch.inf).amax(1)
        return every.masked_fill(beyond[..., None], 0).sum(1) / lengths[:, None].to(every)

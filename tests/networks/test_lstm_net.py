"""Sequences of any length: what fills a batch up never changes an embedding."""

import pytest
import torch

from metric_lightning.functional.sequences import padded
from metric_lightning.networks import LSTMNet
from metric_lightning.types import Sequences

KINDS = {
    "last": {},
    "linear_free": {"embedding_dim": None},
    "both_ways": {"bidirectional": True, "layers": 2},
    "mean": {"reading": "mean", "bidirectional": True},
    "max": {"reading": "max"},
}


def network_of(kind: str, tokens: bool) -> LSTMNet:
    torch.manual_seed(0)
    arguments = {"embedding_dim": 6, "hidden_size": 5, **KINDS[kind]}
    return LSTMNet(**arguments, tokens=tokens, input_shape=(9,)).eval()


def items(tokens: bool) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = [7, 1, 12, 3, 12]
    if tokens:
        return [torch.randint(0, 9, (length,), generator=generator) for length in lengths]
    return [torch.randn(length, 9, generator=generator) for length in lengths]


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_mixed_lengths_gives_the_embeddings_of_single_items(kind, tokens):
    network, sequences = network_of(kind, tokens), items(tokens)
    together = network(padded(sequences))
    alone = torch.cat([network(padded([sequence])) for sequence in sequences])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert together.shape == (5, network.embedding_dim) and len(together.unique(dim=0)) == 5


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_fills_up_means_nothing(kind, tokens):
    network, batch = network_of(kind, tokens), padded(items(tokens))
    wide = torch.full((5, 30, *batch.steps.shape[2:]), 8, dtype=batch.steps.dtype)
    for row, length in enumerate(batch.lengths):
        wide[row, :length] = batch.steps[row, :length]
    torch.testing.assert_close(network(Sequences(wide, batch.lengths)), network(batch), atol=1e-6, rtol=0)


def test_the_mean_is_that_of_the_states_of_the_steps():
    network = LSTMNet(embedding_dim=None, hidden_size=5, reading="mean", input_shape=(9,))
    sequences = items(tokens=False)
    for sequence in sequences:
        states, _ = network.layers.memory(sequence[None])
        torch.testing.assert_close(network(padded([sequence]))[0], states[0].mean(0))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"reading": "first"}, "reading must be 'last', 'mean' or 'max', got 'first'"),
        ({"input_shape": (1, 28, 28)}, r"LSTMNet reads sequences: input_shape must be \(features of a step,\)"),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        LSTMNet(**arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sequences_have_no_embeddings(kind):
    network = network_of(kind, tokens=False)
    nothing = Sequences(torch.zeros(0, 0, 9), torch.zeros(0, dtype=torch.int64))
    assert network(nothing).shape == (0, network.embedding_dim)


def test_a_sequence_without_a_step_is_named():
    with pytest.raises(ValueError, match=r"2 sequences of \[3, 0\] steps: each must have at least one"):
        padded([torch.zeros(3, 2), torch.zeros(0, 2)])

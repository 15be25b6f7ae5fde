"""Large batches on small devices: the network takes a batch in chunks and forgets the activations of each.

The backward pass computes them again, a chunk at a time. The loss sees the whole batch, and the gradients are those of
the whole batch: exactly so for networks that treat each input by itself. What doesn't:

- dropout draws the same again in the backward pass, so gradients are right; its draws for a chunk are others than those
  for the whole batch;
- batch normalisation sees the statistics of its chunk, not of the batch, and its running statistics move once a
  chunk, recomputation left out.

What a network keeps in buffers (running statistics, the vectors of a spectral norm) is for the recomputation what it
was for the chunk's first pass, and afterwards what it was before.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from metric_lightning.errors import UserError
from metric_lightning.modules.gather import world_size


def embed_in_chunks(network: nn.Module, inputs: Tensor, chunk_size: int, stateful: nn.Module | None = None) -> Tensor:
    """Return `network(inputs)`, with activation memory of `chunk_size` inputs.

    Args:
        network: maps (n, ...) to (n, D).
        inputs: (n, ...).
        chunk_size: inputs at a time, at least 1; chunks are as even as can be.
        stateful: the part of the network whose buffers it changes; None: all of it.

    Raises:
        UserError: inputs are no tensor, or the network has synchronised batch normalisation on several ranks.

    Example:
        >>> network = nn.Linear(3, 2)
        >>> inputs = torch.randn(5, 3)
        >>> torch.allclose(embed_in_chunks(network, inputs, chunk_size=2), network(inputs))
        True
    """
    if not isinstance(inputs, Tensor):
        raise UserError(
            f"embed_chunk_size needs inputs in one tensor (n, ...), got {type(inputs).__name__}: leave it out"
        )
    if world_size() > 1 and any(isinstance(module, nn.SyncBatchNorm) for module in network.modules()):
        raise UserError(
            "embed_chunk_size can't be used with synchronised batch normalisation: ranks with other numbers of chunks "
            "would wait for each other; leave sync_batchnorm out"
        )
    if not len(inputs):
        return network(inputs)
    # Even chunks: a last one of a single row would have no statistics.
    chunks = inputs.tensor_split(-(-len(inputs) // chunk_size))
    if not torch.is_grad_enabled() or len(chunks) == 1:
        return torch.cat([network(chunk) for chunk in chunks])
    return torch.cat([checkpoint(_SameAgain(network, stateful), chunk, use_reentrant=False) for chunk in chunks])


class _SameAgain:
    """Calls the network on a chunk; called again, for the backward pass, it does the same and leaves no trace."""

    def __init__(self, network: nn.Module, stateful: nn.Module | None):
        self.network, self.stateful = network, network if stateful is None else stateful
        self.before: list[_Buffer] | None = None

    def __call__(self, chunk: Tensor) -> Tensor:
        now = _buffers(self.stateful)
        if self.before is None:
            self.before = _copies(now)
            return self.network(chunk)
        # Other tensors in the place of the buffers, not other values in them: autograd keeps some until it needs them.
        _put(_copies(self.before))
        try:
            return self.network(chunk)
        finally:
            _put(now)


class _Buffer(NamedTuple):
    holder: dict[str, Tensor | None]
    name: str
    value: Tensor


def _buffers(network: nn.Module) -> list[_Buffer]:
    found = [(module._buffers, name, value) for module in network.modules() for name, value in module._buffers.items()]
    return [_Buffer(holder, name, value) for holder, name, value in found if value is not None]


def _copies(buffers: list[_Buffer]) -> list[_Buffer]:
    copies = {id(buffer.value): buffer.value.detach().clone() for buffer in buffers}  # some have several places
    return [buffer._replace(value=copies[id(buffer.value)]) for buffer in buffers]


def _put(buffers: list[_Buffer]) -> None:
    for buffer in buffers:
        buffer.holder[buffer.name] = buffer.value

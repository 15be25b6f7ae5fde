"""Large batches on small devices: the network takes a batch in chunks and forgets the activations of each.

The backward pass computes them again, a chunk at a time. The loss sees the whole batch, and the gradients are those of
the whole batch: exactly so for networks that treat each input by itself. What doesn't:

- dropout draws the same again in the backward pass, so gradients are right; its draws for a chunk are others than those
  for the whole batch;
- batch normalisation sees the statistics of its chunk, not of the batch, and its running statistics move once a
  chunk, recomputation left out.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_NORMS = (nn.modules.batchnorm._BatchNorm,)


def embed_in_chunks(network: nn.Module, inputs: Tensor, chunk_size: int) -> Tensor:
    """Return `network(inputs)`, with activation memory of `chunk_size` inputs.

    Args:
        network: maps (n, ...) to (n, D).
        inputs: (n, ...).
        chunk_size: inputs at a time, at least 1.

    Raises:
        TypeError: inputs are no tensor.

    Example:
        >>> network = nn.Linear(3, 2)
        >>> inputs = torch.randn(5, 3)
        >>> torch.allclose(embed_in_chunks(network, inputs, chunk_size=2), network(inputs))
        True
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(
            f"embed_chunk_size needs inputs in one tensor (n, ...), got {type(inputs).__name__}: leave it out"
        )
    if not torch.is_grad_enabled() or len(inputs) <= chunk_size:
        return torch.cat([network(chunk) for chunk in inputs.split(chunk_size)]) if len(inputs) else network(inputs)
    first = _StatisticsOnce(network)
    return torch.cat([checkpoint(first, chunk, use_reentrant=False) for chunk in inputs.split(chunk_size)])


class _StatisticsOnce:
    """Calls the network; while autograd recomputes, running statistics of batch normalisation stand still."""

    def __init__(self, network: nn.Module):
        self.network = network
        self.norms = [module for module in network.modules() if isinstance(module, _NORMS)]

    def __call__(self, chunk: Tensor) -> Tensor:
        if torch._C._current_graph_task_id() == -1:
            return self.network(chunk)
        momenta = [norm.momentum for norm in self.norms]
        counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in self.norms]
        for norm in self.norms:
            norm.momentum = 0.0
        try:
            return self.network(chunk)
        finally:
            for norm, momentum, count in zip(self.norms, momenta, counts, strict=True):
                norm.momentum = momentum
                if count is not None and norm.num_batches_tracked is not None:
                    norm.num_batches_tracked.copy_(count)

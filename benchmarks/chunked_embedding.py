"""Peak memory and time of a training step of EmbeddingNet on a large batch, as a whole and in chunks.

    python -m benchmarks.chunked_embedding [batch size] [chunk size]

Memory is what the process (in main memory) holds at most during the step, less what it held before. Linux only.
"""

import gc
import multiprocessing
import sys
import time
from typing import Any

import torch

from benchmarks.turns import forget_peak, memory
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules.chunks import embed_in_chunks
from metric_lightning.networks import EmbeddingNet


def peak_of_a_step(batch_size: int, chunk_size: int | None) -> float:
    """Return megabytes, measured in a process of its own."""
    return _measured(batch_size, chunk_size)[0]


def main(batch_size: int = 4096, chunk_size: int = 256) -> None:
    """Print both sides and their ratio."""
    whole, chunked = _measured(batch_size, None), _measured(batch_size, chunk_size)
    print(f"a step of EmbeddingNet and a triplet loss on {batch_size} images, one thread")
    print(f"{'':>18}{'peak memory':>14}{'time':>10}")
    for name, (megabytes, seconds) in (("whole", whole), (f"chunks of {chunk_size}", chunked)):
        print(f"{name:>18}{megabytes:>11.0f} MB{seconds:>8.1f} s")
    print(f"{'ratio':>18}{chunked[0] / whole[0]:>14.3f}{chunked[1] / whole[1]:>10.2f}")


def _measured(batch_size: int, chunk_size: int | None) -> tuple[float, float]:
    # A process that knows nothing of this one: a fork would have its free memory, and need no more from the system.
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    process = context.Process(target=_step, args=(batch_size, chunk_size, queue))
    process.start()
    found: tuple[float, float] = queue.get(timeout=600)
    process.join()
    return found


def _step(batch_size: int, chunk_size: int | None, queue: Any) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = EmbeddingNet(embedding_dim=64, input_shape=(1, 28, 28))
    loss = TripletMarginLoss(margin=0.2)
    labels = torch.arange(batch_size) % 10
    for size in (16, batch_size):  # the first is for what is set up once
        inputs = torch.randn(size, 1, 28, 28)
        network.zero_grad()
        gc.collect()
        forget_peak()
        before, start = memory("VmRSS"), time.perf_counter()
        embeddings = network(inputs) if chunk_size is None else embed_in_chunks(network, inputs, chunk_size)
        loss(embeddings, labels[:size]).backward()
        found = memory("VmHWM") - before, time.perf_counter() - start
    queue.put(found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

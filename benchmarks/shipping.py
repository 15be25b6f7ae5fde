"""What shipping costs: an index of 100,000 x 128 built and searched, and `predict` beside a bare loop.

    python -m benchmarks.shipping                       (about two minutes on one thread, most of them HNSW's)
    python -m benchmarks.shipping --only predict        (or: --only index)

Index: embeddings are noisy points around 10,000 centres; queries are others of the same kind. Recall@10 is the share of
the true ten nearest that an index finds, against exact search. Predict: samples a second of `metric-lightning
predict` (Trainer, gathering and file included) and of a bare loop of the same network over the same decoded batches,
in turns; only the ratio means anything on another machine.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer

from metric_lightning.callbacks import EmbeddingWriter
from metric_lightning.data import MNIST5k, SampleSplit
from metric_lightning.deployment import VectorIndex
from metric_lightning.deployment.recall import exact_distances
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNet

K = 10


def points(n: int, dimension: int, seed: int) -> np.ndarray:
    centres = np.random.default_rng(0).standard_normal((10_000, dimension), dtype=np.float32)
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((n, dimension), dtype=np.float32)
    return centres[generator.integers(0, len(centres), n)] + 0.7 * noise


def seconds(run: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def index(n: int, dimension: int, queries: int) -> None:
    rows, asked = points(n, dimension, 1), points(queries, dimension, 2)
    print(f"\nIndex of {n:,} x {dimension}, {queries:,} queries, k = {K}, {threads()} thread(s)")
    print(f"{'':22}{'build s':>9}{'search ms/query':>17}{'recall@10':>11}{'MiB':>8}")
    exact = None
    for kind, efforts in (("flat", [None]), ("ivf", [8, None, 256]), ("hnsw", [16, None, 256])):
        building, made = seconds(lambda kind=kind: VectorIndex.build(rows, kind))
        with tempfile.TemporaryDirectory() as folder:
            made.write(Path(folder, "x"))
            size = Path(folder, "x").stat().st_size / 2**20
        for effort in efforts:
            made.set_effort(effort)
            searching, (found, _) = seconds(lambda made=made: made.search(asked, K))
            if exact is None:
                exact = exact_distances(rows, asked, K, made)[:, -1:]
            recall = float((found <= exact * (1 + 1e-6)).mean())
            name = kind if effort is None else f"{kind}, effort {effort}"
            print(f"{name:22}{building:9.2f}{searching / queries * 1000:17.3f}{recall:11.4f}{size:8.0f}", flush=True)


def predict(repeats: int) -> None:
    # All 5,000 digits are predicted; the batches are decoded beforehand for the loop, and in memory for predict.
    data = MNIST5k(split=SampleSplit(validation_size=0, test_size=4900))
    data.setup()
    module = EmbeddingModule(EmbeddingNet(64, input_shape=(1, 28, 28)), TripletMarginLoss()).eval()
    batches = [batch.inputs for batch in data.predict_dataloader()]
    count = sum(len(batch) for batch in batches)

    def bare() -> None:
        with torch.inference_mode():
            torch.cat([module(batch) for batch in batches])

    def ours(path: Path) -> Callable[[], None]:
        def run() -> None:
            trainer.predict(module, datamodule=data, return_predictions=False)

        trainer = Trainer(
            callbacks=[EmbeddingWriter(path)],
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
        )
        return run

    with tempfile.TemporaryDirectory() as folder:
        run = ours(Path(folder, "out.npz"))
        bare(), run()
        taken = [(seconds(bare)[0], seconds(run)[0]) for _ in range(repeats)]
    ratio = statistics.median(loop / predicted for loop, predicted in taken)
    loop, predicted = (statistics.median(times) for times in zip(*taken, strict=True))
    print(f"\n{count:,} digits through EmbeddingNet, {threads()} thread(s), median of {repeats}")
    print(f"bare loop {count / loop:10,.0f} samples/s\npredict   {count / predicted:10,.0f} samples/s")
    print(f"predict reaches {ratio:.1%} of the bare loop (wanted: at least 85%)", flush=True)


def threads() -> int:
    return torch.get_num_threads()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["index", "predict"])
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    import faiss

    faiss.omp_set_num_threads(arguments.threads)
    if arguments.only != "index":
        predict(arguments.repeats)
    if arguments.only != "predict":
        index(arguments.size, arguments.dimension, arguments.queries)


if __name__ == "__main__":
    main()

"""Time and memory of precision@1, R-precision and MAP@R, leave-one-out, beside what others take.

    python -m benchmarks.retrieval                        (20,000 samples: about a minute on one thread)
    python -m benchmarks.retrieval --sizes 20000 60000    (with 60,000: about ten minutes, most of them the peer's)

The floor is the blockwise matrix products alone. Every figure is the median of the repetitions, taken in turns; only
the ratios mean anything on another machine. Memory is the peak above what was held before, of one more run in a process
of its own.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.multiprocessing
from torch import Tensor

from benchmarks.turns import forget_peak, memory
from metric_lightning.metrics import EmbeddedSet, RetrievalMetrics

N_RELEVANT, DIMENSION = 5, 128


def samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) // (N_RELEVANT + 1)
    centres = torch.randn(n, DIMENSION, generator=generator)
    return centres[labels] + 1.3 * torch.randn(n, DIMENSION, generator=generator), labels


def floor(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    # 256 rows at a time and the gallery's transpose in memory were the fastest of what was tried.
    gallery, block = embeddings.t().contiguous(), torch.empty(256, len(embeddings))
    for queries in embeddings.split(256):
        torch.mm(queries, gallery, out=block[: len(queries)])
    return {}


def ours(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    figures = RetrievalMetrics().evaluate(EmbeddedSet(embeddings, labels, torch.arange(len(labels))))
    return {name: figures[name] for name in ("precision_at_1", "r_precision", "map_at_r")}


def pytorch_metric_learning(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    names = {
        "precision_at_1": "precision_at_1",
        "r_precision": "r_precision",
        "map_at_r": "mean_average_precision_at_r",
    }
    calculator = AccuracyCalculator(
        include=tuple(names.values()),
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False), batch_size=256),
    )
    figures = calculator.get_accuracy(embeddings, labels)
    return {name: figures[theirs] for name, theirs in names.items()}


def torchmetrics(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    from torchmetrics.retrieval import RetrievalMAP, RetrievalPrecision, RetrievalRPrecision

    n = len(labels)
    scores, others = 1 / (1 + torch.cdist(embeddings, embeddings)), ~torch.eye(n, dtype=torch.bool)
    target = labels[:, None] == labels
    queries = torch.arange(n)[:, None].expand(n, n)
    # There is no MAP@R in torchmetrics; MAP up to rank R is its nearest kin and as much work.
    metrics = {
        "precision_at_1": RetrievalPrecision(top_k=1),
        "r_precision": RetrievalRPrecision(),
        "map_at_r": RetrievalMAP(top_k=N_RELEVANT),
    }
    for metric in metrics.values():
        metric.update(scores[others], target[others], indexes=queries[others])
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _peak(method: Callable[[Tensor, Tensor], object], n: int, answer: object) -> None:
    torch.set_num_threads(1)
    embeddings, labels = samples(n)
    method(embeddings[:200], labels[:200])
    # A child starts with its parent's peak; touching that much first would hide ours, so read the current size.
    forget_peak()
    before = memory("VmRSS")
    method(embeddings, labels)
    answer.put(memory("VmHWM") - before)  # type: ignore[attr-defined]


def peak_memory(method: Callable[[Tensor, Tensor], object], n: int) -> float:
    context = torch.multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_peak, args=(method, n, answer))
    process.start()
    found = answer.get()
    process.join()
    return found


def compare(n: int, methods: list[Callable[[Tensor, Tensor], dict[str, float]]], repeats: int) -> None:
    embeddings, labels = samples(n)
    figures = {method.__name__: method(embeddings, labels) for method in methods}
    taken: dict[str, list[float]] = {method.__name__: [] for method in methods}
    for _ in range(repeats):
        for method in methods:
            taken[method.__name__].append(seconds(lambda method=method: method(embeddings, labels)))
    print(f"\n{n:,} x {n:,}, D = {DIMENSION}, R = {N_RELEVANT}, {torch.get_num_threads()} thread(s)")
    print(f"{'':26}{'seconds':>9}{'/ floor':>9}{'/ ours':>9}{'MiB':>8}   P@1, R-precision, MAP@R")
    for method in methods:
        name = method.__name__
        of_floor, of_ours = (
            statistics.median(a / b for a, b in zip(taken[name], taken[other], strict=True))
            for other in ("floor", "ours")
        )
        values = ", ".join(f"{value:.6f}" for value in figures[name].values())
        print(
            f"{name:26}{statistics.median(taken[name]):9.3f}{of_floor:9.2f}{of_ours:9.2f}"
            f"{peak_memory(method, n):8.0f}   {values}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[20000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    compare(2000, [floor, ours, torchmetrics, pytorch_metric_learning], arguments.repeats)
    for n in arguments.sizes:
        compare(n, [floor, ours, pytorch_metric_learning], arguments.repeats)


if __name__ == "__main__":
    main()

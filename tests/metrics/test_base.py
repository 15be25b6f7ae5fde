"""Collecting samples: alone, seen twice, over ranks."""

import datetime
import math
import socket

import pytest
import torch
import torch.distributed
import torch.multiprocessing

from metric_lightning.metrics import (
    ClusteringMetrics,
    EmbeddedSet,
    FewShotAccuracy,
    KNNAccuracy,
    RetrievalMetrics,
    VerificationMetrics,
)
from metric_lightning.metrics.base import first_of_each

N = 19


def samples(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(N, 3, generator=generator),
        torch.randint(4, (N,), generator=generator) + 2**25,  # float32 would merge them
        torch.randperm(N, generator=generator),
        torch.randint(2, (N,), generator=generator),
    )


def metrics():
    return [
        RetrievalMetrics(full_ranking=True),
        RetrievalMetrics(search="gallery", skip_group="all"),
        KNNAccuracy(k=3),
        VerificationMetrics(bins=None),
        FewShotAccuracy(ways=2, shots=1, queries=1, episodes=10),
        ClusteringMetrics(),
    ]


def in_one_process():
    figures = []
    for metric in metrics():
        metric.update(*samples(0))
        metric.update(*samples(1), gallery=True)
        figures.append(metric.compute())
    return figures


def test_batches_and_samples_seen_twice():
    for metric, expected in zip(metrics(), in_one_process(), strict=True):
        for part in (slice(0, 7), slice(3, 12), slice(12, 19), slice(0, 0)):
            metric.update(*(values[part] for values in samples(0)))
            metric.update(*(values[part] for values in samples(1)), gallery=True)
        assert metric.compute() == expected
        metric.reset()
        metric.update(*samples(1))
        assert metric.compute() != expected


def test_compute_is_evaluate_and_indices_may_be_left_out():
    embeddings, labels, _, _ = samples()
    metric = RetrievalMetrics()
    metric.update(embeddings[:9], labels[:9])
    metric.update(embeddings[9:], labels[9:])
    expected = RetrievalMetrics().evaluate(EmbeddedSet(embeddings, labels, torch.arange(N)))
    assert metric.compute() == pytest.approx(expected)
    assert metric(embeddings[:5], labels[:5]).keys() == expected.keys()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_sample():
    assert math.isnan(RetrievalMetrics().compute()["map_at_r"])
    assert KNNAccuracy().compute() == {}
    metric = KNNAccuracy()
    metric.update(*samples(), gallery=True)
    assert math.isnan(metric.compute()["knn_accuracy"])


def test_shapes():
    with pytest.raises(ValueError, match=r"\(3, 2\) and labels \(4,\)"):
        RetrievalMetrics().update(torch.zeros(3, 2), torch.zeros(4))


def test_first_of_each():
    assert first_of_each(torch.tensor([], dtype=torch.int64)).tolist() == []
    assert first_of_each(torch.tensor([2, 2, 0])).tolist() == [2, 0]


def worker(rank, port, first, results):
    torch.distributed.init_process_group(
        "gloo",
        f"tcp://127.0.0.1:{port}",
        world_size=2,
        rank=rank,
        timeout=datetime.timedelta(seconds=60),
    )
    part = slice(0, first) if rank == 0 else slice(first, N)
    for metric in metrics():
        # the query sets are split, one sample is on both ranks; all of the gallery is on rank 1
        again = slice(max(0, part.start - 1), part.stop)
        if again.stop > again.start:
            metric.update(*(values[again] for values in samples(0)))
        if rank == 1:
            metric.update(*samples(1), gallery=True)
        results.put((rank, metric.compute()))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("first", [11, 0])
def test_two_ranks_give_the_figures_of_one_process(first):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    results = torch.multiprocessing.get_context("fork").Queue()
    torch.multiprocessing.start_processes(worker, (port, first, results), nprocs=2, start_method="fork")
    found = [results.get(timeout=30) for _ in range(2 * len(metrics()))]
    for rank in range(2):
        assert [figures for r, figures in found if r == rank] == in_one_process()

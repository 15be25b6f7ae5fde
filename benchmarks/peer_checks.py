"""What this package and pytorch-metric-learning do in cases that users have met: each cell is the outcome of a run.

A check is a pair of functions, each returning a few words. What they raise becomes the cell. Cases where the peer does
better are here too.
"""

import contextlib
import inspect
import io
import tempfile
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn

from metric_lightning import losses, metrics, miners
from metric_lightning.metrics import EmbeddedSet, RetrievalMetrics
from metric_lightning.modules.ranks import loss_over_ranks

Work = Callable[[], str]


class Check(NamedTuple):
    """A row of the table: what is asked, and what each side does."""

    asked: str
    ours: Work
    theirs: Work


def outcome(work: Work) -> str:
    """Return what the run says; of an exception its name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    except Exception as error:
        return f"{type(error).__name__}"


def checks() -> list[Check]:
    """Return all rows; the peer is imported here, as it is optional."""
    from pytorch_metric_learning import losses as theirs
    from pytorch_metric_learning import miners as their_miners

    return [
        Check(
            "Tuplet margin, two equal embeddings of a class",
            lambda: _gradient(losses.TupletMarginLoss()),
            lambda: _gradient(theirs.TupletMarginLoss()),
        ),
        Check(
            "Histogram loss, two equal embeddings of a class",
            lambda: _gradient(losses.HistogramLoss()),
            lambda: _gradient(theirs.HistogramLoss(n_bins=100)),
        ),
        Check(
            "Sub-center ArcFace, an embedding at its centre",
            lambda: _at_a_centre(losses.SubCenterArcFaceLoss(num_classes=2, embedding_dim=4)),
            lambda: _at_a_centre(theirs.SubCenterArcFaceLoss(num_classes=2, embedding_size=4)),
        ),
        Check(
            "Batch without a positive pair, triplet loss",
            lambda: _gradient(losses.TripletMarginLoss(), torch.arange(4)),
            lambda: _gradient(theirs.TripletMarginLoss(), torch.arange(4)),
        ),
        Check("Labels 16,777,216 and 16,777,217 are two classes in evaluation", _our_large_labels, _their_labels),
        Check("Cross-batch memory after a checkpoint: where it writes next", _our_memory, _their_memory),
        Check("Gradient of proxies on two ranks, in units of one process's", _our_ranks, _their_ranks),
        Check(
            "Equal error rate, ROC-AUC", lambda: _has(metrics, "VerificationMetrics"), lambda: _their("Verification")
        ),
        Check("Few-shot episodes", lambda: _has(metrics, "FewShotAccuracy"), lambda: _their("FewShot", "Episode")),
        Check("A run from one YAML and one command", _our_command, lambda: _their("LightningCLI", "argparse")),
        Check("Losses (concrete classes)", lambda: _count(losses), lambda: _count(theirs)),
        Check("Miners (concrete classes)", lambda: _count(miners), lambda: _count(their_miners)),
        Check("Manifold, P2SGrad and PNP losses", lambda: _among(losses), lambda: _among(theirs)),
        Check("Reducers and embedding regularizers for any loss", lambda: _ours_have("reducer"), _their_reducers),
        Check("A loss on index tuples made elsewhere", _our_tuples, lambda: _their_tuples(theirs)),
    ]


def _gradient(loss: nn.Module, labels: Tensor | None = None) -> str:
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], requires_grad=True)
    value = loss(embeddings, torch.tensor([0, 0, 1, 1]) if labels is None else labels)
    value.backward()
    finite = torch.isfinite(value) and embeddings.grad is not None and torch.isfinite(embeddings.grad).all()
    return "finite gradient" if finite else "gradient is not finite"


def _at_a_centre(loss: Any) -> str:
    weight = next(parameter for parameter in loss.parameters() if parameter.ndim >= 2)
    with torch.no_grad():
        weight.zero_()
        if weight.shape[0] == 4:  # theirs: (D, C x K)
            weight[0], weight[1, -1] = 1.0, 1.0
        else:  # ours: (K, C, D)
            weight[..., 0], weight[:, 1, 1] = 1.0, 1.0
    embeddings = torch.tensor([[1.0, 0.0, 0.0, 0.0]], requires_grad=True)
    loss(embeddings, torch.tensor([0])).backward()
    assert embeddings.grad is not None
    return "finite gradient" if torch.isfinite(embeddings.grad).all() else "gradient is not finite"


def _large_labels() -> tuple[Tensor, Tensor]:
    """Two classes whose labels float32 can't tell apart, on top of each other: precision@1 by right labels is 0."""
    embeddings = torch.tensor([[0.0, 1.0], [5.0, 1.0], [0.1, 1.0], [5.1, 1.0]])
    return embeddings, 2**24 + torch.tensor([0, 0, 1, 1])


def _our_large_labels() -> str:
    embeddings, labels = _large_labels()
    found = RetrievalMetrics().evaluate(EmbeddedSet(embeddings, labels, torch.arange(4)))
    return _right(found["precision_at_1"])


def _their_labels() -> str:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    embeddings, labels = _large_labels()
    knn = CustomKNN(LpDistance(normalize_embeddings=False))
    calculator = AccuracyCalculator(include=("precision_at_1",), k="max_bin_count", knn_func=knn)
    return _right(calculator.get_accuracy(embeddings, labels)["precision_at_1"])


def _right(precision: float) -> str:
    return "yes" if precision == 0 else "no, they are merged"


def _our_memory() -> str:
    def memory() -> Any:
        made = losses.CrossBatchMemory(losses.ContrastiveLoss(), size=8)
        made.build(2, 2)
        return made

    first, second = memory(), memory()
    first(torch.randn(6, 2), torch.arange(6))
    second.load_state_dict(first.state_dict())
    return "where it was" if int(second.position) == int(first.position) == 6 else "at the beginning"


def _their_memory() -> str:
    from pytorch_metric_learning.losses import ContrastiveLoss, CrossBatchMemory

    first, second = (CrossBatchMemory(ContrastiveLoss(), embedding_size=2, memory_size=8) for _ in range(2))
    first(torch.randn(6, 2), torch.arange(6))
    second.load_state_dict(first.state_dict())
    return "where it was" if second.queue_idx == first.queue_idx == 6 else "at the beginning"


def _our_ranks() -> str:
    def gradient(rows: slice) -> Tensor:
        torch.manual_seed(0)
        loss = losses.ProxyAnchorLoss(num_classes=4, embedding_dim=8)
        embeddings, labels = _rows()
        loss_over_ranks(loss, embeddings[rows], labels[rows])[0].backward()
        return _gradients(loss)

    return _ratio(gradient)


def _their_ranks() -> str:
    from pytorch_metric_learning.losses import ProxyAnchorLoss
    from pytorch_metric_learning.utils.distributed import DistributedLossWrapper

    def gradient(rows: slice) -> Tensor:
        torch.manual_seed(0)
        loss = ProxyAnchorLoss(num_classes=4, embedding_size=8)
        embeddings, labels = _rows()
        around = DistributedLossWrapper(loss) if dist.is_initialized() else loss
        around(embeddings[rows], labels[rows]).backward()
        return _gradients(loss)

    return _ratio(gradient)


def _rows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(16, 8, generator=generator, requires_grad=True), torch.arange(16) % 4


def _gradients(loss: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in loss.parameters() if p.grad is not None])


def _ratio(gradient: Callable[[slice], Tensor]) -> str:
    """Compare one process on all rows with two on a half each, whose gradients are averaged as DDP does."""
    alone = gradient(slice(None))
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            _on_a_rank, args=(folder, gradient), nprocs=2, start_method="fork", join=True
        )
        together = torch.load(Path(folder, "gradient.pt"), weights_only=True)
    return f"{float(together.norm() / alone.norm()):.2f}"


def _on_a_rank(rank: int, folder: str, gradient: Callable[[slice], Tensor]) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    store, patience = f"file://{folder}/store", timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=patience)
    found = gradient(slice(0, 8) if rank == 0 else slice(8, 16))
    dist.all_reduce(found)
    if rank == 0:
        torch.save(found / 2, Path(folder, "gradient.pt"))
    dist.barrier()
    dist.destroy_process_group()


def _our_command() -> str:
    from metric_lightning.cli import main

    config = Path(__file__).parents[1] / "experiments" / "mnist5k" / "triplet.yaml"
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        main(["fit", "--config", str(config), "--print_config"])
    return "yes" if "TripletModule" in printed.getvalue() else "no"


def _has(module: Any, name: str) -> str:
    return "yes" if name in module.__all__ else "no"


def _their(*words: str) -> str:
    """Whether any file of the peer speaks of it."""
    import pytorch_metric_learning

    files = Path(pytorch_metric_learning.__file__).parent.rglob("*.py")
    return "yes" if any(word in path.read_text() for path in files for word in words) else "no"


def _count(module: Any) -> str:
    """How many classes that can be made: not abstract, not a base, a mixin or a wrapper of none."""
    names = getattr(module, "__all__", dir(module))
    found = {
        part
        for part in (getattr(module, name) for name in names if name[0].isupper())
        if inspect.isclass(part) and not inspect.isabstract(part)
    }
    bases = ("Base", "Mixin", "GenericPair", "EmbeddingsAlready", "MarginMiner", "PytorchMetricLearning")
    return str(len([part for part in found if not any(word in part.__name__ for word in bases)]))


def _among(module: Any) -> str:
    found = [name for name in ("ManifoldLoss", "P2SGradLoss", "PNPLoss") if hasattr(module, name)]
    return "yes" if len(found) == 3 else ", ".join(found) or "no"


def _ours_have(argument: str) -> str:
    return "yes" if argument in inspect.signature(losses.TripletMarginLoss).parameters else "no"


def _their_reducers() -> str:
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.reducers import MeanReducer
    from pytorch_metric_learning.regularizers import LpRegularizer

    loss = TripletMarginLoss(reducer=MeanReducer(), embedding_regularizer=LpRegularizer())
    return "yes" if torch.isfinite(loss(torch.randn(4, 2), torch.tensor([0, 0, 1, 1]))) else "no"


def _our_tuples() -> str:
    """Given pairs are masks here; triplets come from a miner only."""
    return "pairs only" if "pairs" in inspect.signature(losses.TripletMarginLoss.forward).parameters else "no"


def _their_tuples(theirs: Any) -> str:
    triplet = (torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
    value = theirs.TripletMarginLoss()(torch.randn(4, 2), torch.tensor([0, 0, 1, 1]), indices_tuple=triplet)
    return "pairs and triplets" if torch.isfinite(value) else "no"

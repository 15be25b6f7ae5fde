"""The pictures of docs/seeing.md: of runs healthy, collapsed, with a film, in 64 dimensions, with wrong labels.

    FIT="python -m metric_lightning.cli fit --config docs/trainers/pictures.yaml"
    HEALTHY="--config experiments/mnist5k/online_triplet_random_hard.yaml"
    VALIDATION="--data.init_args.split.init_args.validation_size 400"
    $FIT $HEALTHY --experiment mnist5k/with_pictures
    $FIT --config experiments/mnist5k/online_triplet_hardest.yaml --experiment mnist5k/collapsed
    $FIT $HEALTHY $VALIDATION --experiment mnist5k/with_validation --trainer.max_epochs 10
    $FIT $HEALTHY $VALIDATION --experiment mnist5k/in_64_dimensions --trainer.max_epochs 3 \
        --model.init_args.network.init_args.embedding_dim 64
    $FIT $HEALTHY --data experiments.mislabelled_digits.MislabelledDigits --experiment mnist5k/mislabelled \
        --trainer.max_epochs 5
    RUNS=lightning_logs/mnist5k
    python -m experiments.seeing_pictures $RUNS/with_pictures/version_0 $RUNS/collapsed/version_0 \
        $RUNS/with_validation/version_0 $RUNS/in_64_dimensions/version_0 \
        $RUNS/mislabelled/version_0

report.png and projector.png are photographs of the pages that `metric-lightning report` and TensorBoard show:
`chromium --headless --no-sandbox --window-size=1040,1900 --screenshot=report.png two.html`.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from experiments.harness.pictures import png_file, small_png
from experiments.harness.saved_data import data_of
from metric_lightning.callbacks.loss_distances import loss_distances, margin_of
from metric_lightning.callbacks.samples import stratified_choice
from metric_lightning.files import write_atomically
from metric_lightning.functional.verification import count_pairs, roc_auc, roc_curve
from metric_lightning.modules import EmbeddingModule
from metric_lightning.plots.canvas import new_figure
from metric_lightning.plots.palette import BLUE, VERMILION

_HEALTHY = {
    "embedding_test": "embedding_healthy",
    "distances_test": "distances",
    "classes_test": "classes",
    "hardest_test": "hardest",
    "retrieval_test": "retrieval",
    "curves": "curves",
}
_COLLAPSED = {
    "embedding_test": "embedding_collapsed",
    "distances_test": "distances_collapsed",
    "curves": "curves_collapsed",
}
_POINTS = 500


class PairDistances(NamedTuple):
    """Distances of pairs (n,) in units of the loss's margin, and whether a pair is of one class (n,)."""

    distances: Tensor
    same: Tensor


def pair_distances(checkpoint: Path) -> PairDistances:
    """Return those of 500 test samples."""
    module = EmbeddingModule.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu")
    found = module.embed(data_of(checkpoint).test_dataloader(), gather=False)
    chosen = stratified_choice(found.labels, _POINTS)
    embeddings, labels = found.embeddings[chosen], found.labels[chosen]
    apart = torch.ones(len(chosen), len(chosen), dtype=torch.bool).triu(1)
    distances = loss_distances(module.loss, embeddings, embeddings)[apart] / (margin_of(module.loss) or 1.0)
    return PairDistances(distances, (labels[:, None] == labels)[apart])


def two_runs(healthy: PairDistances, collapsed: PairDistances) -> Figure:
    """Draw the distances of both runs on the same logarithmic axis, and both ROC curves in one."""
    figure = new_figure(13.0, 4.8)
    figure.suptitle("Two runs on the same test set: one is healthy, one has collapsed", fontsize=13)
    left, middle, right = figure.subplots(1, 3)
    every = torch.cat([healthy.distances, collapsed.distances])
    edges = np.geomspace(float(every[every > 0].min()), max(float(every.max()), 2.0), 80)
    for axis, name, pairs in ((left, "healthy", healthy), (middle, "collapsed", collapsed)):
        _draw_distances(axis, name, pairs, edges)
    for name, pairs, colour, style in (("healthy", healthy, BLUE, "-"), ("collapsed", collapsed, VERMILION, "--")):
        counts = count_pairs(*pairs)
        accept, false_accept = roc_curve(counts)
        label = f"{name}, area {roc_auc(counts):.3f}"
        right.plot(false_accept, accept, color=colour, linestyle=style, linewidth=2, label=label)
    right.plot([0, 1], [0, 1], color="gray", linestyle=":", label="by chance, area 0.5")
    right.set_title("ROC curves", fontsize=11)
    right.set_xlabel("false accept rate (share of pairs of different classes)")
    right.set_ylabel("true accept rate (share of same pairs)")
    for axis in (left, middle, right):
        axis.grid(True, linewidth=0.3, alpha=0.5)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=1, frameon=False, fontsize=9)
    return figure


def _draw_distances(axis: Axes, name: str, pairs: PairDistances, edges: np.ndarray) -> None:
    kinds = ((pairs.same, "same class", BLUE, "//"), (~pairs.same, "different classes", VERMILION, ""))
    for kind, label, colour, hatch in kinds:
        values = pairs.distances[kind].clamp_min(edges[0]).numpy()
        weights = np.full(len(values), 1 / len(values))
        axis.hist(values, edges, weights=weights, histtype="stepfilled", color=colour, alpha=0.35, hatch=hatch)
        axis.hist(values, edges, weights=weights, histtype="step", color=colour, linewidth=1.5, label=label)
    axis.axvline(1.0, color="black", linestyle="--", linewidth=1.2, label="the loss's margin")
    axis.set_xscale("log")
    axis.set_title(f"{name}: distances of pairs", fontsize=11)
    axis.set_xlabel("distance as the loss takes it (margins)")
    axis.set_ylabel("share of pairs in a bin")


def main() -> None:
    """Write all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("healthy", "collapsed", "with_validation", "in_64_dimensions", "mislabelled"):
        parser.add_argument(name, type=Path, help="folder of the run, lightning_logs/.../version_N")
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    sources = [
        (options.healthy, _HEALTHY),
        (options.collapsed, _COLLAPSED),
        (options.in_64_dimensions, {"tsne_test": "tsne"}),
        (options.mislabelled, {"mislabelled_train": "mislabelled"}),
    ]
    for run, names in sources:
        for source, name in names.items():
            write_atomically(options.output / f"{name}.png", small_png(Image.open(run / "figures" / f"{source}.png")))
    film = options.with_validation / "figures" / "embedding.gif"
    write_atomically(options.output / "embedding.gif", film.read_bytes())
    pairs = [pair_distances(run / "checkpoints" / "last.ckpt") for run in (options.healthy, options.collapsed)]
    write_atomically(options.output / "two_runs.png", png_file(two_runs(*pairs)))


if __name__ == "__main__":
    main()

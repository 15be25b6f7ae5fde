"""Pictures of the embedding by class."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from lightning.pytorch import Trainer
from matplotlib.figure import Figure
from torch import Tensor

from metric_lightning.callbacks.loss_distances import distance_name, distance_scale, loss_distances
from metric_lightning.callbacks.pictures import write_figure
from metric_lightning.callbacks.samples import PART_TITLES, Samples, Stage, samples_of
from metric_lightning.callbacks.snapshot import SnapshotCallback
from metric_lightning.losses.base import MetricLoss
from metric_lightning.modules import MetricModule
from metric_lightning.plots import Points, embedding_scatter, tsne_figure, tsne_positions, umap_positions
from metric_lightning.plots.scatter import limits_of


class _Projection(NamedTuple):
    name: str
    positions: Callable[[Tensor, int], Tensor]


_PROJECTIONS = {"tsne": _Projection("t-SNE", tsne_positions), "umap": _Projection("UMAP", umap_positions)}


class EmbeddingFigures(SnapshotCallback):
    """Draws the embedding by class, in TensorBoard and as PNG in the run's folder `figures/`.

    - An embedding of one or two dimensions: a scatter of the training set beside the validation set (after `test`:
      the test set), on the same axes; `embedding_val.png`, `embedding_test.png`.
    - Of more dimensions: t-SNE (or UMAP) of the raw inputs beside that of the embedding of the same validation (test)
      samples; `tsne_val.png`, `tsne_test.png` (`umap_...`).

    Where all that a scatter shows is closer together than the loss's margin, which the loss can't tell from one point,
    its title says so.

    A picture replaces the one of the same name; TensorBoard keeps those of all epochs. Where there is no validation
    set the training set is drawn.

    Cost on one core: 0.4 s for a scatter, 1.3 s for t-SNE of 500 points, 2 s for 1,000, 4 s for 2,000 (the t-SNE of the
    inputs is kept, so half of that from the second time on).

    Args:
        every_n_epochs: also draw during training; None: only at its end.
        max_points: of each part in a scatter.
        max_tsne_points: samples of which the t-SNE (UMAP) is taken.
        seed: of the choice of samples and of t-SNE.
        projection: of more than two dimensions; "umap" needs the extra `umap`.

    Raises:
        ValueError: max_points or max_tsne_points is less than 1, there is no such projection, or see
            `SnapshotCallback`.
        UserError: (in a run) the package of the projection is not installed.
    """

    def __init__(
        self,
        every_n_epochs: int | None = None,
        max_points: int = 1000,
        max_tsne_points: int = 500,
        seed: int = 0,
        projection: Literal["tsne", "umap"] = "tsne",
    ):
        super().__init__(every_n_epochs)
        for name, value in (("max_points", max_points), ("max_tsne_points", max_tsne_points)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if projection not in _PROJECTIONS:
            raise ValueError(f"projection must be one of {', '.join(_PROJECTIONS)}, got {projection!r}")
        self.max_points = max_points
        self.max_tsne_points = max_tsne_points
        self.seed = seed
        self.projection = projection
        self._inputs: tuple[Tensor, Tensor | None] | None = None

    def snapshot(self, trainer: Trainer, module: MetricModule, stage: Stage, epoch: int) -> None:
        held_out = samples_of(trainer, module, stage, self.max_points, self.seed)
        trained = None
        if held_out is None or held_out.embeddings.shape[1] <= 2:
            trained = samples_of(trainer, module, "train", self.max_points, self.seed)
        if not trainer.is_global_zero:
            return
        moment = "after the test" if stage == "test" else f"after epoch {epoch}"
        parts = {PART_TITLES["train"]: trained, PART_TITLES[stage]: held_out}
        shown = {title: samples for title, samples in parts.items() if samples is not None}
        for title, samples in list(shown.items())[-1:]:
            if samples.embeddings.shape[1] <= 2:
                title = f"Embedding by class, {moment}{_within_margin(module.loss, shown)}"
                write_figure(trainer, f"embedding_{stage}", _scatter(shown, title))
            else:
                title = f"{_PROJECTIONS[self.projection].name} of the {title}, {moment}"
                figure = self._project(samples.few(self.max_tsne_points, self.seed), title)
                write_figure(trainer, f"{self.projection}_{stage}", figure)

    def _project(self, samples: Samples, title: str) -> Figure:
        name, positions = _PROJECTIONS[self.projection]
        # The inputs of the same samples are the same: once is enough.
        if self._inputs is None or not torch.equal(self._inputs[0], samples.indices):
            inputs = samples.inputs()
            self._inputs = samples.indices, None if inputs is None else positions(inputs, self.seed)
        embedding = positions(samples.embeddings, self.seed)
        return tsne_figure(self._inputs[1], embedding, samples.labels, samples.class_names, title, name)


def _within_margin(loss: MetricLoss, parts: dict[str, Samples]) -> str:
    """Say how small a picture is whose corners lie closer together than the loss's margin; "" otherwise."""
    scale = distance_scale(loss)
    clouds = [samples.embeddings for samples in parts.values()]
    if scale is None or clouds[0].shape[1] != 2:
        return ""
    left, bottom, side = limits_of(clouds)
    corners = torch.tensor([[left, bottom], [left + side, bottom + side]])
    across = float(loss_distances(loss, corners[:1], corners[1:]))
    return (
        f"; its corners lie {across / scale:.1g} margins apart ({distance_name(loss)} distance)"
        if across < scale
        else ""
    )


def _scatter(parts: dict[str, Samples], title: str) -> Figure:
    points = {
        f"{name} ({len(samples.labels):,} samples)": Points(samples.embeddings, samples.labels)
        for name, samples in parts.items()
    }
    class_names = next(iter(parts.values())).class_names
    return embedding_scatter(points, class_names, title)

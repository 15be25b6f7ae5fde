"""The embedding over time."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from metric_lightning.callbacks.messages import note
from metric_lightning.callbacks.metric_module import require_metric_module
from metric_lightning.callbacks.run_folder import FIGURES, is_rehearsal, run_folder
from metric_lightning.callbacks.samples import Samples, samples_of
from metric_lightning.files import write_atomically
from metric_lightning.plots import Points, animated_gif, pixels
from metric_lightning.plots.scatter import limits_of, scatter_figure


class EmbeddingFilm(Callback):
    """Writes `figures/embedding.gif`: the validation embedding after each epoch, coloured by class, axes fixed.

    An embedding of more than two dimensions is shown along the two main directions (PCA) of the last epoch. Of a run
    with more epochs than frames evenly spaced ones are shown, the first and the last among them. A run that is resumed
    films anew. Where the run keeps no files, or validates no samples with one label each, nothing is written, and that
    is said.

    Cost: 0.1 s a frame on one core, at the end of training; nothing before.

    Args:
        max_points: samples that are shown.
        max_frames: at least 2.
        seed: of the choice of samples.

    Raises:
        ValueError: max_points is less than 1 or max_frames less than 2, or (in a run) the module is no `MetricModule`.
    """

    def __init__(self, max_points: int = 500, max_frames: int = 30, seed: int = 0):
        if max_points < 1:
            raise ValueError(f"max_points must be at least 1, got {max_points}")
        if max_frames < 2:
            raise ValueError(f"max_frames must be at least 2, got {max_frames}")
        self.max_points = max_points
        self.max_frames = max_frames
        self.seed = seed
        self._frames: list[tuple[int, Samples]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        require_metric_module(self, pl_module)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._frames = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        module = require_metric_module(self, pl_module)
        samples = samples_of(trainer, module, "val", self.max_points, self.seed)
        if samples is not None:
            self._frames.append((trainer.current_epoch + 1, samples))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or is_rehearsal(trainer):
            return
        folder = run_folder(trainer)
        if folder is None:
            note(trainer, "EmbeddingFilm writes nothing: the run has no logger with a folder.")
            return
        if not self._frames:
            note(
                trainer,
                "EmbeddingFilm writes nothing: no validation samples with one label each were embedded during the fit; "
                "give the data module a validation set.",
            )
            return
        count = min(self.max_frames, len(self._frames))
        chosen = torch.linspace(0, len(self._frames) - 1, count).round().long().tolist()
        write_atomically(folder / FIGURES / "embedding.gif", film([self._frames[i] for i in chosen]))


def film(frames: list[tuple[int, Samples]]) -> bytes:
    """Return the GIF of embeddings, each after so many epochs, along the two main directions of the last."""
    positions, axis_names = _in_two_dimensions([samples.embeddings for _, samples in frames])
    limits = limits_of(positions)
    pictures = []
    for (epoch, samples), points in zip(frames, positions, strict=True):
        shown = {f"validation set, after epoch {epoch}": Points(points, samples.labels)}
        title = "Embedding by class"
        pictures.append(pixels(scatter_figure(shown, samples.class_names, title, axis_names, limits=limits)))
    return animated_gif(pictures)


def _in_two_dimensions(embeddings: list[Tensor]) -> tuple[list[Tensor], tuple[str, str]]:
    last = embeddings[-1]
    if last.shape[1] == 2:
        return embeddings, ("embedding dimension 1 (units of distance)", "embedding dimension 2 (units of distance)")
    if last.shape[1] == 1:
        flat = [torch.cat([points, torch.zeros_like(points)], 1) for points in embeddings]
        return flat, ("embedding (units of distance)", "")
    middle = last.mean(0)
    directions = torch.linalg.svd(last - middle, full_matrices=False).Vh[:2]
    names = ("main direction 1 (units of distance)", "main direction 2 (units of distance)")
    return [(points - middle) @ directions.T for points in embeddings], names

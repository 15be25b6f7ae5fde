"""Pictures of the distances between samples."""

import torch
from lightning.pytorch import Trainer

from metric_lightning.callbacks.loss_distances import distance_name, loss_distances, margin_of
from metric_lightning.callbacks.pictures import write_figure
from metric_lightning.callbacks.samples import PART_TITLES, Stage, samples_of
from metric_lightning.callbacks.snapshot import SnapshotCallback
from metric_lightning.modules import MetricModule
from metric_lightning.plots import class_confusion, class_distances_figure, verification_figure


class DistanceFigures(SnapshotCallback):
    """Draws what distances tell of classes, in TensorBoard and as PNG in the run's folder `figures/`.

    Of the validation set, and after `test` of the test set:

    - `distances_val.png`: histograms of the distances of pairs of one class and of different classes with their
      overlap and the loss's margin, and the ROC curve of telling them apart;
    - `classes_val.png`: the distances of class means in units of the classes' radii, which shows what is confused.

    Cost: half a second for 500 samples on one core; O(max_points^2) memory.

    Args:
        every_n_epochs: also draw during training; None: only at its end.
        max_points: samples; all their pairs are drawn.
        seed: of the choice of samples.

    Raises:
        ValueError: max_points is less than 2, or see `SnapshotCallback`.
    """

    def __init__(self, every_n_epochs: int | None = None, max_points: int = 500, seed: int = 0):
        super().__init__(every_n_epochs)
        if max_points < 2:
            raise ValueError(f"max_points must be at least 2, got {max_points}")
        self.max_points = max_points
        self.seed = seed

    def snapshot(self, trainer: Trainer, module: MetricModule, stage: Stage, epoch: int) -> None:
        samples = samples_of(trainer, module, stage, self.max_points, self.seed)
        if samples is None or not trainer.is_global_zero:
            return
        same = samples.labels[:, None] == samples.labels[None]
        apart = torch.ones_like(same).triu(1)
        pairs = same[apart]
        if not pairs.any() or pairs.all():
            self.say_once(
                trainer, f"draws nothing: the {PART_TITLES[stage]} has no two classes with two samples in one."
            )
            return
        moment = "after the test" if stage == "test" else f"after epoch {epoch}"
        distances = loss_distances(module.loss, samples.embeddings, samples.embeddings)[apart]
        title = f"Distances of pairs, {PART_TITLES[stage]}, {moment}"
        unit, margin = distance_name(module.loss), margin_of(module.loss)
        write_figure(trainer, f"distances_{stage}", verification_figure(distances, pairs, title, unit, margin))
        confusion = class_confusion(samples.embeddings, samples.labels, len(samples.class_names))
        title = f"Distances of classes, {PART_TITLES[stage]}, {moment}"
        write_figure(trainer, f"classes_{stage}", class_distances_figure(confusion, samples.class_names, title))

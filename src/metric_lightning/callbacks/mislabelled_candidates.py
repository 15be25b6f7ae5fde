"""Training samples that look mislabelled."""

import os

from lightning.pytorch import LightningModule, Trainer

from metric_lightning.callbacks.images import as_images
from metric_lightning.callbacks.label_suspects import Suspects, label_suspects
from metric_lightning.callbacks.loss_distances import loss_distances
from metric_lightning.callbacks.messages import warn
from metric_lightning.callbacks.pictures import write_figure
from metric_lightning.callbacks.run_folder import run_folder
from metric_lightning.callbacks.samples import Samples, Stage, samples_of
from metric_lightning.callbacks.snapshot import SnapshotCallback
from metric_lightning.modules import MetricModule
from metric_lightning.plots import Picture, gallery_figure
from metric_lightning.printable import printable

_NAMED = 3  # examples in the sentence
_CAPTION = 20  # characters of a sample's name
# Healthy runs have a few: samples that people take for another class too.
_LEAST_SHARE = 0.02


class MislabelledCandidates(SnapshotCallback):
    """Names training samples that look mislabelled: their neighbours are of another class (see `label_suspects`).

    At the end of training the surest ones beside their neighbours, as picture `figures/mislabelled_train.png`, in runs
    that keep files; and where they are at least 2% of the samples looked at, one sentence with the remedy in console
    and TensorBoard, once. Fewer are found in healthy data: samples that people take for another class too. A network
    that has learned its training samples by heart puts wrong labels where they claim to be, and finds fewer.

    Cost: training samples are embedded once more; 0.6 s for 2,000 28x28 images on one core; O(max_points^2) memory.

    Args:
        every_n_epochs: also look during training; None: only at its end.
        max_points: training samples that are looked at.
        neighbours: of each that are asked, at most.
        rows: of the picture.
        seed: of the choice of samples.

    Attributes:
        found: positions in the training set of the candidates last found, the surest first.

    Raises:
        ValueError: max_points is less than 2, neighbours or rows less than 1, or see `SnapshotCallback`.
    """

    needs_folder = False

    def __init__(
        self,
        every_n_epochs: int | None = None,
        max_points: int = 2000,
        neighbours: int = 10,
        rows: int = 8,
        seed: int = 0,
    ):
        super().__init__(every_n_epochs)
        for name, value, least in (("max_points", max_points, 2), ("neighbours", neighbours, 1), ("rows", rows, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self.max_points = max_points
        self.neighbours = neighbours
        self.rows = rows
        self.seed = seed
        self.found: list[int] = []
        self._named = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.found, self._named = [], False

    def snapshot(self, trainer: Trainer, module: MetricModule, stage: Stage, epoch: int) -> None:
        if stage == "test":
            return
        samples = samples_of(trainer, module, "train", self.max_points, self.seed)
        if samples is None or len(samples.labels) < 2 or not trainer.is_global_zero:
            return
        distances = loss_distances(module.loss, samples.embeddings, samples.embeddings)
        suspects = label_suspects(distances, samples.labels, self.neighbours)
        self.found = samples.indices[suspects.sample].tolist()
        figure = "" if run_folder(trainer) is None else self._draw(trainer, samples, suspects, epoch)
        if not self._named and len(self.found) >= max(2, _LEAST_SHARE * len(samples.labels)):
            self._named = True
            warn(trainer, "diagnosis/mislabelled_candidates", _sentence(samples, suspects, figure))

    def _draw(self, trainer: Trainer, samples: Samples, suspects: Suspects, epoch: int) -> str:
        """Write the picture; return how the sentence speaks of it, "" where inputs are no images."""
        shown = suspects.sample[: self.rows]
        near = suspects.neighbours[: self.rows, :5]
        if not len(shown):
            return ""
        chosen = samples._replace(indices=samples.indices[shown])
        images = as_images(chosen.inputs())
        around = as_images(samples._replace(indices=samples.indices[near.flatten()]).inputs())
        if images is None or around is None:
            return ""
        rows = []
        for line, (sample, others) in enumerate(zip(shown.tolist(), near.tolist(), strict=True)):
            name = os.path.basename(samples.sample_name(sample))
            rows.append([Picture(images[line], f"{samples.name(sample)}: {name[-_CAPTION:]}")])
            for place, other in enumerate(others):
                image = around[line * len(others) + place]
                rows[-1].append(Picture(image, samples.name(other), None))
        titles = ["labelled", *(f"nearest\n{rank + 1}" for rank in range(near.shape[1]))]
        title = f"Mislabelled candidates, training set, after epoch {epoch}"
        write_figure(trainer, "mislabelled_train", gallery_figure(rows, titles, title))
        return " look at figures/mislabelled_train.png,"


def _sentence(samples: Samples, suspects: Suspects, figure: str) -> str:
    count = len(suspects.sample)
    names = [printable(name) for name in samples.class_names]
    examples = ", ".join(
        f"{printable(samples.sample_name(sample))} ({names[int(samples.labels[sample])]} among {names[likely]})"
        for sample, likely in list(zip(suspects.sample.tolist(), suspects.likely.tolist(), strict=True))[:_NAMED]
    )
    more = "" if count <= _NAMED else f" and {count - _NAMED} more"
    return (
        f"{count} of {len(samples.labels):,} training samples look mislabelled, as most of their neighbours are of "
        f"one other class: samples {examples}{more};{figure} correct or leave out those that are, or use a loss that "
        "bears wrong labels (SubCenterArcFaceLoss) and no miner that seeks the hardest."
    )

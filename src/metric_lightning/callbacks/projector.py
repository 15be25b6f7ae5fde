"""Embeddings in TensorBoard's Embedding Projector."""

from pathlib import Path

import torch
from lightning.pytorch import Trainer

from metric_lightning.callbacks.images import as_images
from metric_lightning.callbacks.projector_files import Assets, write_assets, write_entry
from metric_lightning.callbacks.run_folder import run_folder, tensorboard_logger, tensorboard_writer
from metric_lightning.callbacks.samples import Part, Samples, Stage, samples_of
from metric_lightning.callbacks.snapshot import SnapshotCallback
from metric_lightning.modules import MetricModule


class Projector(SnapshotCallback):
    """Shows training and validation (after `test`: test) embeddings in TensorBoard's Embedding Projector.

    Every point has its class's name, its part of the data, its index, and where inputs are images its image. The same
    samples are shown all through a run, as many of each class as can be. Each snapshot is an entry of its own,
    `train_and_val:epoch_00010` say; entries are kept when a run is resumed in its folder. Embeddings that aren't finite
    are left out.

    Cost: half of the points are embedded anew; 2,000 points with 28x28 images take 0.3 s on one core, of which
    0.1 s and 1 MB are for the images, once; a snapshot has 60 kB (2-D) to 1.2 MB (64-D).

    Args:
        every_n_epochs: also look during training; None: only at its end.
        max_points: of training and validation (or test) together.
        seed: of the choice of samples.

    Raises:
        ValueError: max_points is less than 2 or more than 100,000 (the projector shows no more), or see
            `SnapshotCallback`.
    """

    def __init__(self, every_n_epochs: int | None = 10, max_points: int = 2000, seed: int = 0):
        super().__init__(every_n_epochs)
        if not 2 <= max_points <= 100_000:
            raise ValueError(f"max_points must be from 2 to 100000, got {max_points}")
        self.max_points = max_points
        self.seed = seed
        self._written: tuple[object, Assets] | None = None

    def snapshot(self, trainer: Trainer, module: MetricModule, stage: Stage, epoch: int) -> None:
        if tensorboard_logger(trainer) is None:
            self.say_once(trainer, "writes nothing: the run has no TensorBoardLogger.")
            return
        each = self.max_points // 2
        both: tuple[Part, Part] = ("train", stage)
        found = {part: samples_of(trainer, module, part, each, self.seed) for part in both}
        parts = {part: samples for part, samples in found.items() if samples is not None}
        if not parts or not trainer.is_global_zero:
            return
        folder, writer = run_folder(trainer), tensorboard_writer(trainer)
        assert folder is not None and writer is not None
        moment = "after_test" if stage == "test" else f"epoch_{epoch:05d}"
        embeddings = torch.cat([samples.embeddings for samples in parts.values()])
        write_entry(folder, f"{'_and_'.join(parts)}:{moment}", embeddings, self._assets_of(folder, parts))
        # TensorBoard lists a run, and asks it for a projector, once it has an event.
        writer.flush()

    def _assets_of(self, folder: Path, parts: dict[Part, Samples]) -> Assets:
        """Write what is known of the samples, unless it is what was written last."""
        shown = (folder, [(part, samples.indices.tolist()) for part, samples in parts.items()])
        if self._written is None or self._written[0] != shown:
            self._written = shown, write_assets(folder, _columns(parts), _images(parts))
        return self._written[1]


def _columns(parts: dict[Part, Samples]) -> dict[str, list[object]]:
    # The projector labels points by the first column that isn't all numbers, which names of classes may be.
    columns: dict[str, list[object]] = {"label": [], "class": [], "part": [], "index": []}
    for part, samples in parts.items():
        columns["label"] += [f"{samples.class_names[label]} ({part})" for label in samples.labels.tolist()]
        columns["class"] += [samples.class_names[label] for label in samples.labels.tolist()]
        columns["part"] += [part] * len(samples.labels)
        columns["index"] += samples.indices.tolist()
    return columns


def _images(parts: dict[Part, Samples]) -> torch.Tensor | None:
    inputs = [samples.inputs() for samples in parts.values()]
    known = [batch for batch in inputs if batch is not None]
    if len(known) < len(inputs) or len({batch.shape[1:] for batch in known}) != 1:
        return None
    return as_images(torch.cat(known))

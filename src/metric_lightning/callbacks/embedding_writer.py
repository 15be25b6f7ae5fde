"""Writes what `Trainer.predict` embeds, of all ranks, as one file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from metric_lightning.callbacks.embedding_table import EmbeddingTable, writer_of
from metric_lightning.errors import UserError
from metric_lightning.files import require_writable
from metric_lightning.metrics import EmbeddedSet
from metric_lightning.modules.collect import on_first_rank
from metric_lightning.printable import printable

_REMEDY = "give data whose test part has samples (data.split), and leave limit_predict_batches out"


class EmbeddingWriter(Callback):
    """One whole file of embeddings, in the order of the data set, each sample once, whatever the number of ranks.

    The first rank receives the others' parts a batch at a time; it needs room for all embeddings, once.

    Cost: 4 D bytes a sample, of D dimensions, in the first rank's memory and in the file (.npz); D = 64 and a million
    samples are 256 MB.

    Args:
        path: file to write, .npz or .parquet; see `embedding_table`.

    Raises:
        UserError: another suffix, or a file that can't be written or can't hold the names of the pictures (before
            anything is embedded); no samples.
    """

    def __init__(self, path: Path):
        self.path = path
        self._writer = writer_of(path)
        self._batches: list[EmbeddedSet] = []
        self._started = False

    def require_started(self) -> None:
        """Refuse a prediction that Lightning has passed over.

        Raises:
            UserError: it has, for there is no sample or no batch to be embedded.
        """
        if not self._started:
            raise UserError(f"there is nothing to embed, and {printable(self.path)} isn't written: {_REMEDY}")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look whether the file can be written, and hold the names."""
        self._batches, self._started = [], True
        if trainer.is_global_zero:
            require_writable(self.path)
            dataset = _dataset(trainer)
            self._writer.require_names([dataset.path_of(index) for index in range(len(dataset))])

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the embedded batch."""
        self._batches.append(outputs)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring the ranks together and write."""
        dataset = _dataset(trainer)
        rows = _Rows(len(dataset))
        for batch in on_first_rank(self._batches):
            rows.add(batch)
        if not trainer.is_global_zero:
            return
        found = rows.kept()
        paths = [dataset.path_of(index) for index in found.indices.tolist()]
        embeddings, labels, indices = (values.numpy() for values in found[:3])
        self._writer.write(self.path, EmbeddingTable(embeddings, labels, indices, paths, dataset.class_names))
        print(f"embeddings, labels, indices, names and paths of {len(labels)} samples: {printable(self.path)}")


def _dataset(trainer: Trainer) -> Any:
    loaders: Any = trainer.predict_dataloaders
    return (loaders[0] if isinstance(loaders, list) else loaders).dataset


class _Rows:
    """Takes embedded batches in any order, and holds each sample once, at its place."""

    def __init__(self, size: int):
        self._embeddings = torch.empty(0, 0)
        self._labels = torch.zeros(size, dtype=torch.int64)
        self._seen: NDArray[np.bool_] = np.zeros(size, dtype=bool)

    def add(self, batch: EmbeddedSet) -> None:
        if len(self._embeddings) == 0 and len(batch.labels):
            self._embeddings = batch.embeddings.new_empty(len(self._labels), batch.embeddings.shape[1])
        if len(batch.labels):
            self._embeddings[batch.indices] = batch.embeddings
            self._labels[batch.indices] = batch.labels
            self._seen[batch.indices.numpy()] = True

    def kept(self) -> EmbeddedSet:
        """Return the samples that were seen: all, unless only some batches were asked for."""
        if not self._seen.any():
            raise UserError(f"there is nothing to embed: {_REMEDY}")
        indices = torch.from_numpy(self._seen.nonzero()[0])
        if self._seen.all():
            return EmbeddedSet(self._embeddings, self._labels, indices)
        return EmbeddedSet(self._embeddings[indices], self._labels[indices], indices)

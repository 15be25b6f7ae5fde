"""Pictures to embeddings to neighbours, from a checkpoint alone."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metric_lightning.data.listing import some
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.deployment.device import usable_device
from metric_lightning.deployment.image_index import ImageIndex
from metric_lightning.deployment.picture_table import PictureTable
from metric_lightning.deployment.pictures import listed, picture_batches
from metric_lightning.deployment.trained_model import calibration_of, fingerprint, load_model
from metric_lightning.deployment.vector_index import IndexKind, VectorIndex
from metric_lightning.errors import UserError
from metric_lightning.modules import MetricModule

_NAMED = 10  # bad pictures in a sentence


class Match(NamedTuple):
    """A picture of an index that is near a query.

    Attributes:
        path: its file.
        label: its class by name, "" where it has none.
        distance: from the query.
        same: whether it shows the same as the query, by the checkpoint's threshold; None without one.
        probability: that it does; None likewise.
        position: its row in the index.
    """

    path: str
    label: str
    distance: float
    same: bool | None
    probability: float | None
    position: int


class Embedder:
    """A trained model, ready for pictures of any size and kind: it prepares them as its evaluation data were.

        embedder = Embedder.load("lightning_logs/photos/version_0/checkpoints/last.ckpt")
        index = embedder.index("photos/")
        matches = embedder.search("query.jpg", index, k=10)

    A picture is a path, a PIL image, or 8-bit pixels: an array (H, W) or (H, W, C), a tensor (H, W) or (C, H, W), C 1,
    3 or 4; an array or tensor of four dimensions is as many pictures as its first says.

    Args:
        module: the model; it is put into evaluation mode.
        preprocessing: how a picture becomes its input.
        class_names: of the training data, by label.
        device: where to compute; None: the first GPU, else the CPU.

    Raises:
        UserError: there is no such device here.

    Example:
        >>> from PIL import Image
        >>> from metric_lightning.losses import TripletMarginLoss
        >>> from metric_lightning.modules import EmbeddingModule
        >>> from metric_lightning.networks import EmbeddingNet
        >>> module = EmbeddingModule(EmbeddingNet(embedding_dim=2, input_shape=(1, 28, 28)), TripletMarginLoss())
        >>> embedder = Embedder(module, Preprocessing(1, (28, 28), mean=(0.13,), std=(0.31,)), device="cpu")
        >>> embedder.embed([Image.new("RGB", (40, 30)), torch.zeros(28, 28, dtype=torch.uint8)]).shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        module: MetricModule,
        preprocessing: Preprocessing,
        class_names: Sequence[str] = (),
        device: str | torch.device | None = None,
    ):
        self.device = usable_device(device)
        self.module = module.eval().to(self.device)
        self.preprocessing = preprocessing
        self.class_names = list(class_names)
        self.distance, self.calibration = calibration_of(module)
        self.fingerprint = fingerprint(module, preprocessing)
        self.checkpoint = ""

    @classmethod
    def load(
        cls,
        checkpoint: str | os.PathLike[str],
        device: str | torch.device | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> "Embedder":
        """Return the model of a checkpoint. No data are needed; load only checkpoints that you trust.

        Args:
            checkpoint: as `fit` writes them.
            device: where to compute; None: the first GPU, else the CPU.
            preprocessing: for a checkpoint that doesn't say it; None: the checkpoint's own.

        Raises:
            UserError: it is none, or can't be used alone; there is no such device; the message says what to do.
        """
        chosen = usable_device(device)
        found = load_model(checkpoint, preprocessing)
        embedder = cls(found.module, found.preprocessing, found.class_names, chosen)
        embedder.checkpoint = os.path.abspath(checkpoint)
        return embedder

    @property
    def embedding_dim(self) -> int:
        """D, the number of components of an embedding."""
        pixels = torch.zeros(1, *self.preprocessing.input_shape, dtype=torch.uint8)
        return int(self.embed_pixels(pixels).shape[1])

    def embed(self, pictures: Any, batch_size: int = 256, num_workers: int = 0) -> Tensor:
        """Return the embeddings (n, D) of pictures, float32 on the CPU, in their order.

        Args:
            pictures: one, or n of them in any iterable.
            batch_size: how many go through the network at once.
            num_workers: processes that decode; 0: this one.

        Raises:
            UserError: some can't be read; the message names them, ten at most.
        """
        batches, faults = [], []
        for batch in picture_batches(listed(pictures), self.preprocessing, batch_size, num_workers):
            faults += batch.faults
            if not faults:
                batches.append(self.embed_pixels(batch.pixels))
        refuse_faults(faults)
        return torch.cat(batches) if batches else torch.empty(0, self.embedding_dim)

    @torch.inference_mode()
    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Return the embeddings (n, D), float32 on the CPU, of pixels (n, C, H, W) uint8 of the network's size."""
        inputs = self.preprocessing.normalised(pixels.to(self.device, non_blocking=True))
        embeddings: Tensor = self.module(inputs).float().cpu()
        return embeddings

    def index(self, pictures: Any, kind: IndexKind = "flat") -> ImageIndex:
        """Return an index of pictures in memory; see `build_index` for one on disk of any size.

        Args:
            pictures: a folder, whose subfolders name the classes; or paths.
            kind: "flat" is exact; "ivf" and "hnsw" are faster with very many, and miss some.

        Raises:
            UserError: there are none, some can't be read, or faiss is not installed.
        """
        table = PictureTable.of(pictures)
        embeddings = self.embed(table.paths).numpy()
        vectors = VectorIndex.build(embeddings, kind, self.distance)
        return ImageIndex(vectors, table, self.fingerprint, self.checkpoint)

    def search(self, queries: Any, index: ImageIndex | str | Path, k: int = 10) -> list[list[Match]]:
        """Return the k nearest pictures of each query, nearest first.

        Args:
            queries: one picture, or n of them.
            index: made with the same model; or the folder it was saved to.
            k: at most as many as the index holds.

        Raises:
            UserError: a query can't be read, the index is of another model, or `k` is too large.
        """
        if not isinstance(index, ImageIndex):
            index = ImageIndex.load(index)
        index.require_model(self.fingerprint)
        index.vectors.require_neighbours(k)
        distances, positions = index.vectors.search(self.embed(queries).numpy(), k)
        return [list(self._matches(index.table, *row)) for row in zip(distances, positions, strict=True)]

    def _matches(self, table: PictureTable, distances: Any, positions: Any) -> Iterator[Match]:
        found = torch.from_numpy(distances)
        for place, (distance, position) in enumerate(zip(distances.tolist(), positions.tolist(), strict=True)):
            if position < 0:  # an approximate index found no more
                break
            same = probability = None
            if self.calibration is not None:
                same = bool(self.calibration.same(found[place]))
                probability = float(self.calibration.probability(found[place]))
            yield Match(table.absolute(position), table.labels[position], distance, same, probability, position)


def refuse_faults(faults: Sequence[str], remedy: str = "mend them, or leave them out") -> None:
    """Refuse pictures that can't be read, in one message that names ten of them.

    Raises:
        UserError: there are any.
    """
    if len(faults) == 1:
        raise UserError(faults[0])
    if faults:
        named = some([fault.split(";")[0].removeprefix("picture ") for fault in faults], _NAMED)
        raise UserError(f"{len(faults)} pictures can't be used: {named}; {remedy}")

"""The files that TensorBoard's Embedding Projector reads.

A run's folder holds `projector_config.pbtxt`, with an entry for each snapshot, and the folder `projector` with each
entry's tensor. Metadata and sprite are the same for all snapshots of the same samples, so they are kept once, in a
folder named by their content.

torch's `SummaryWriter.add_embedding` isn't used: after a resume it forgets earlier entries, it doesn't escape metadata,
and it refuses images higher than wide.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from google.protobuf import text_format  # type: ignore[import-untyped]
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig
from torch import Tensor
from torch.nn.functional import interpolate, pad

from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically
from metric_lightning.plots.canvas import png

CONFIG = "projector_config.pbtxt"
FOLDER = "projector"

MOST_SPRITE_PIXELS = 8192  # a side: what browsers take as a texture
_MOST_IMAGE_PIXELS = 64
_LEAST_DIMENSIONS = 3  # with fewer the projector's first view, PCA, comes to NaN and shows no point
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Assets(NamedTuple):
    """What is known of the points besides their positions; paths are relative to the run's folder.

    Attributes:
        metadata: path.
        sprite: path, or None without images.
        image_side: pixels.
    """

    metadata: str
    sprite: str | None
    image_side: int


def write_assets(run: Path, metadata: Mapping[str, Sequence[object]], images: Tensor | None) -> Assets:
    """Write metadata and, where there are images, their sprite.

    Args:
        run: the run's folder.
        metadata: columns by name, each of n values.
        images: (n, 3, H, W) uint8, or None.
    """
    table = metadata_table(metadata)
    sprite = None if images is None else sprite_image(images)
    digest = hashlib.sha256(table.encode())
    if sprite is not None:
        digest.update(sprite.numpy().tobytes())
    folder = f"{FOLDER}/{digest.hexdigest()[:12]}"
    write_atomically(run / folder / "metadata.tsv", table)
    if images is None or sprite is None:
        return Assets(f"{folder}/metadata.tsv", None, 0)
    write_atomically(run / folder / "sprite.png", png(sprite.numpy()))
    return Assets(f"{folder}/metadata.tsv", f"{folder}/sprite.png", sprite.shape[0] // _columns(len(images)))


def write_entry(run: Path, name: str, embeddings: Tensor, assets: Assets) -> None:
    """Write a tensor and add it to the run's projector, before the entries that are there.

    An entry of the same name is replaced. Embeddings of one or two dimensions get zeros for the missing ones, which
    changes no distance.

    Args:
        run: the run's folder.
        name: of the entry.
        embeddings: (n, D), finite.
        assets: of these n points.

    Raises:
        UserError: the run's projector_config.pbtxt can't be read, or a file can't be written.
    """
    if embeddings.shape[1] < _LEAST_DIMENSIONS:
        embeddings = pad(embeddings, (0, _LEAST_DIMENSIONS - embeddings.shape[1]))
    path = f"{FOLDER}/{name.replace(':', '_').replace('/', '_')}.tsv"
    rows = ("\t".join(map("{:.7g}".format, row)) for row in embeddings.tolist())
    write_atomically(run / path, "\n".join(rows) + "\n")
    entry = EmbeddingInfo(tensor_name=name, tensor_path=path, metadata_path=assets.metadata)
    entry.tensor_shape.extend(embeddings.shape)
    if assets.sprite is not None:
        entry.sprite.image_path = assets.sprite
        entry.sprite.single_image_dim.extend([assets.image_side, assets.image_side])
    # Read again each time: an earlier process, before a resume, may have written entries.
    earlier = [known for known in _read(run / CONFIG).embeddings if known.tensor_name != name]
    config = ProjectorConfig(embeddings=[entry, *earlier])
    write_atomically(run / CONFIG, text_format.MessageToString(config))


def _read(path: Path) -> ProjectorConfig:
    config = ProjectorConfig()
    if path.exists():
        try:
            text_format.Parse(path.read_text(encoding="utf-8"), config)
        except text_format.ParseError as error:
            raise UserError(f"{path} can't be read ({error}): move it away to start a new one") from error
    return config


def metadata_table(columns: Mapping[str, Sequence[object]]) -> str:
    r"""Return columns as the projector's table: with a header line, but for a single column, which must have none.

    Tabs, ends of line and carriage returns in values are written as \\t, \\n and \\r.

    Example:
        >>> metadata_table({"class": ["a\tb", "c"], "index": [0, 1]})
        'class\tindex\na\\tb\t0\nc\t1\n'
        >>> metadata_table({"class": ["a", "c"]})
        'a\nc\n'
    """
    rows: list[tuple[object, ...]] = list(zip(*columns.values(), strict=True))
    if len(columns) > 1:
        rows.insert(0, tuple(columns))
    return "".join("\t".join(str(value).translate(_ESCAPES) for value in row) + "\n" for row in rows)


def sprite_image(images: Tensor) -> Tensor:
    """Return all images in one square, row by row, each padded to a square.

    Images larger than 64 pixels, or than what lets the whole stay within 8192, are scaled down.

    Args:
        images: (n, 3, H, W) uint8, n >= 1.

    Returns:
        (S, S, 3) uint8.

    Example:
        >>> sprite_image(torch.zeros(3, 3, 5, 4, dtype=torch.uint8)).shape
        torch.Size([10, 10, 3])
    """
    columns = _columns(len(images))
    height, width = images.shape[-2:]
    most = min(_MOST_IMAGE_PIXELS, MOST_SPRITE_PIXELS // columns)
    if max(height, width) > most:
        scale = most / max(height, width)
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        images = interpolate(images.float(), size=size, mode="area").round().to(torch.uint8)
        height, width = size
    side = max(height, width)
    left, top = (side - width) // 2, (side - height) // 2
    squares = pad(images, (left, side - width - left, top, side - height - top))
    missing = columns**2 - len(squares)
    grid = torch.cat([squares, squares.new_zeros(missing, *squares.shape[1:])])
    return grid.reshape(columns, columns, 3, side, side).permute(0, 3, 1, 4, 2).reshape(columns * side, -1, 3)


def _columns(n: int) -> int:
    return math.ceil(math.sqrt(n))

"""Omniglot's drawings: in folders or zip files, `images_<part>/<alphabet>/<character>/NNNN_<drawer>.png`."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metric_lightning.errors import DataNotFound, UserError

_NAME = re.compile(r"(?:.*/)?([^/]+)/([^/]+)/\d+_(\d+)\.png")
_EVALUATION = re.compile(r"(^|/)images_evaluation")


class Drawing(NamedTuple):
    """Which drawing it is; sorted by these.

    Attributes:
        evaluation: whether it belongs to the evaluation alphabets.
        character: "<alphabet>/<character>".
        drawer: 1..20.
    """

    evaluation: bool
    character: str
    drawer: int


Read = Callable[[], bytes]


def find_drawings(roots: Sequence[str]) -> dict[Drawing, Read]:
    """Return how to read every drawing, in their order; one that several places hold counts once.

    Args:
        roots: zip files, or folders: with `omniglot-py/` below (as torchvision leaves them), with folders or zip files
            `images_*`, or with the alphabets themselves.

    Raises:
        DataNotFound: a root doesn't exist, or there is no drawing in it.
    """
    found: dict[Drawing, Read] = {}
    for root in roots:
        path = Path(root).expanduser()
        before = len(found)
        seen = False
        for name, read in files_of(path, "images", "png"):
            match = _NAME.fullmatch(name)
            if match:
                alphabet, character, drawer = match.groups()
                drawing = Drawing(bool(_EVALUATION.search(name)), f"{alphabet}/{character}", int(drawer))
                found.setdefault(drawing, read)
                seen = True
        if len(found) == before and not seen:
            raise DataNotFound(
                f"Omniglot is not in {path}: put images_background and images_evaluation, folders or .zip, into "
                f"{path / 'omniglot-py'}, or give their folder or the zip files as `root` (torchvision fetches "
                f"them: datasets.Omniglot({root!r}, background, download=True) with background True and False)"
            )
    return dict(sorted(found.items()))


def prepared(image: Image.Image, size: int) -> Tensor:
    """Return a drawing as (1, size, size) uint8, ink 255 and paper 0."""
    grey = image.convert("L")
    if grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    return 255 - torch.from_numpy(np.array(grey))[None]


def read_drawings(drawings: Mapping[Drawing, Read], size: int) -> Tensor:
    """Return drawings (n, 1, size, size), see `prepared`.

    Raises:
        UserError: a picture is damaged.
    """
    pictures = torch.empty(len(drawings), 1, size, size, dtype=torch.uint8)
    for place, (drawing, read) in enumerate(drawings.items()):
        try:
            pictures[place] = prepared(Image.open(io.BytesIO(read())), size)
        except (OSError, zipfile.BadZipFile) as error:
            where = f"{drawing.character}, drawer {drawing.drawer}"
            raise UserError(f"the drawing of {where} can't be read ({error}); get Omniglot again") from error
    return pictures


def files_of(path: Path, kind: str, ending: str) -> Iterator[tuple[str, Read]]:
    """Give the name and the content of the files of a part of Omniglot ("images" or "strokes"), wherever they lie."""
    for place in _places(path, kind):
        yield from _zipped(place) if place.is_file() else _files(place, ending)


def _places(path: Path, kind: str) -> list[Path]:
    if path.is_file():
        return [path]
    below = path / "omniglot-py"
    path = below if below.is_dir() else path
    sets = {found.with_suffix(""): found for found in sorted(path.glob(f"{kind}_*.zip"))}
    sets |= {found: found for found in sorted(path.glob(f"{kind}_*")) if found.is_dir()}
    return sorted(sets.values()) or [path]


def _files(folder: Path, ending: str) -> Iterator[tuple[str, Read]]:
    # No deeper, and nothing else: the folder may hold other data too.
    for path in folder.glob(f"*/*/*_*.{ending}"):
        yield f"{folder.name}/{path.relative_to(folder).as_posix()}", path.read_bytes


def _zipped(path: Path) -> Iterator[tuple[str, Read]]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no whole zip file ({error}); get it again") from error
    for name in archive.namelist():
        if not name.startswith("__MACOSX/"):
            yield name, _reader(archive, name)


def _reader(archive: zipfile.ZipFile, name: str) -> Read:
    return lambda: archive.read(name)

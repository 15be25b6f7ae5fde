"""Finds every picture file that can't be used, before training and all at once."""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image, ImageFile

from metric_lightning.data.image_files import Box, cut
from metric_lightning.data.pictures import open_picture, require_few_pixels
from metric_lightning.errors import UserError

_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)
_THREADS = 8
# What no undamaged picture has between the head of its only scan and its end.
_STRANGE_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd9]")


def faults(paths: Sequence[str], boxes: Sequence[Box] | None = None) -> dict[int, str]:
    """Return what is wrong with each picture that can't be used, by its place.

    Of JPEG files of one scan the head and the markers are read, in a tenth of the time that decoding takes; other
    pictures are decoded. What is damaged and can be decoded all the same is found in PNG files only: others have no
    checksums.

    Args:
        paths: n files.
        boxes: of each, which must touch its picture; None: whole pictures.

    Example:
        >>> faults(["nowhere.png"])
        {0: 'picture nowhere.png is missing; put it there, or take it out of the data'}
    """
    places = range(len(paths))
    with ThreadPoolExecutor(_THREADS) as threads:
        found = threads.map(lambda place: _fault(paths[place], None if boxes is None else boxes[place]), places)
        return {place: sentence for place, sentence in zip(places, found, strict=True) if sentence is not None}


def _fault(path: str, box: Box | None) -> str | None:
    try:
        size = _size_if_whole(path) or open_picture(path).size
        if box is not None:
            cut(box, size, path)
    except UserError as error:
        return str(error)
    return None


def _size_if_whole(path: str) -> tuple[int, int] | None:
    """Return (width, height) as seen of a file that is surely whole; None where decoding it must tell."""
    if not os.path.isfile(path):
        return None
    try:
        with Image.open(path) as file:
            require_few_pixels(file)
            if file.format != "JPEG" or not _is_whole_jpeg(file):
                return None
            lying = file.getexif().get(_ORIENTATION) in _LYING
            return file.size[::-1] if lying else file.size
    except Exception:  # Pillow raises many kinds; what is wrong, if anything, is said by decoding
        return None


def _is_whole_jpeg(file: ImageFile.ImageFile) -> bool:
    """Whether an opened JPEG file has one scan and its end, and nothing between that decoders stumble over."""
    assert file.fp is not None
    scan = file.fp.read()  # Pillow has read the head
    return not file.info.get("progressive") and b"\xff\xd9" in scan[-64:] and not _STRANGE_MARKER.search(scan)

"""Picture files become plain RGB or grey pictures, whatever they hold; one that can't says why in one sentence."""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from metric_lightning.errors import UserError
from metric_lightning.printable import printable

# Where Pillow begins to warn of an attack: 30,000 x 2,900 pixels pass, 30,000 x 30,000 don't.
MOST_PIXELS = 89_478_485
# Scaled to a shorter side of 256 pixels, one of 1 x 60,000 would have four thousand million.
_MOST_ELONGATED = 200

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def open_picture(path: str | os.PathLike[str], channels: int = 3) -> Image.Image:
    """Return a picture file as `plain_picture` makes it.

    Raises:
        UserError: there is no such file, it is empty, cut short or no picture, or it is too large; in one sentence.

    Example:
        >>> open_picture("nowhere.png")
        Traceback (most recent call last):
        metric_lightning.errors.UserError: picture nowhere.png is missing; put it there, or take it out of the data
    """
    try:
        if not os.path.isfile(path):  # opening a pipe would wait for ever
            raise FileNotFoundError(path)
        with Image.open(path) as file:
            return plain_picture(file, channels)
    except UserError as error:
        raise UserError(f"picture {printable(path)} {error}") from error
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise UserError(f"picture {printable(path)} {_fault(Path(path), error)}") from error


def plain_picture(image: Image.Image, channels: int = 3) -> Image.Image:
    """Return a picture of any kind as 8-bit RGB, or grey where `channels` is 1.

    - It is turned as its EXIF says cameras held it.
    - What is transparent lies on white.
    - 16 bits become 8 (value / 257).
    - Of an animation the first picture counts.
    - CMYK, palettes and black-and-white are converted.

    Raises:
        UserError: its pixels are floating-point numbers, whose scale nobody knows; or see `require_few_pixels`.

    Example:
        >>> clear = Image.new("RGBA", (1, 1), (255, 0, 0, 0))
        >>> plain_picture(clear).getpixel((0, 0)), plain_picture(clear, channels=1).getpixel((0, 0))
        ((255, 255, 255), 255)
    """
    mode = "L" if channels == 1 else "RGB"
    require_few_pixels(image)
    if image.mode == "F":
        raise UserError("holds floating-point numbers; save it with 8 or 16 bits a channel")
    image = ImageOps.exif_transpose(image)
    if image.mode in _SIXTEEN_BITS:
        values = np.asarray(image).astype(np.int64)
        image = Image.fromarray(np.clip((values + 128) // 257, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image.convert(mode)


def require_few_pixels(image: Image.Image) -> None:
    """Refuse a picture whose header promises more pixels than a machine should unpack on a stranger's word, or none.

    Raises:
        UserError: it has more than 89,478,485, or see `require_shape`.
    """
    require_shape(image.width, image.height)
    if image.width * image.height > MOST_PIXELS:
        raise UserError(
            f"has {image.width}x{image.height} pixels, more than the {MOST_PIXELS:,} that are decoded; "
            "scale it down, or cut it up"
        )


def require_shape(width: int, height: int) -> None:
    """Refuse a picture, or a part of one, that can't be scaled.

    Raises:
        UserError: it has no pixel, or is more than 200 times as long as wide: scaled to the usual shorter side it would
            fill the memory.
    """
    shorter, longer = sorted((width, height))
    if shorter == 0:
        raise UserError(f"has no pixel ({width}x{height}); take it out of the data")
    if longer > _MOST_ELONGATED * shorter:
        raise UserError(
            f"has {width}x{height} pixels, and is more than {_MOST_ELONGATED} times as long as wide: too long to be "
            "scaled; cut it up"
        )


def reason_of(error: Exception) -> str:
    """Return in one line what Pillow says of a picture that it can't decode."""
    return printable(" ".join(str(error).split()) or type(error).__name__)


def _fault(path: Path, error: Exception) -> str:
    if not os.path.exists(path):
        return "is missing; put it there, or take it out of the data"
    if path.is_dir():
        return "is a folder; name the pictures in it"
    if not path.is_file():
        return "is no file but a pipe or a device; take it out of the data"
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    if path.stat().st_size == 0:
        return "is an empty file; fetch it again, or take it out of the data"
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than the {MOST_PIXELS:,} pixels that are decoded; scale it down, or cut it up"
    reason = "it is no picture" if isinstance(error, UnidentifiedImageError) else reason_of(error)
    return f"can't be read ({reason}); unpack or fetch it again, or take it out of the data"

"""A few drawings in two views, in the files of Omniglot: pictures, and the strokes that the pen went."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def write_drawings(
    folder: Path, alphabets: dict[str, int], drawers: int = 4, zipped: bool = False, line: bool = False
) -> None:
    """Write `images_background` and `strokes_background`; drawer d draws d strokes (`line`: one long one)."""
    random = np.random.default_rng(0)
    number = 0
    for alphabet, characters in alphabets.items():
        for character in range(1, characters + 1):
            number += 1
            for drawer in range(1, drawers + 1):
                name = f"{alphabet}/character{character:02d}/{number:04d}_{drawer:02d}"
                ends = random.integers(25, 80, (1 if line else drawer, 2, 2))
                picture = Image.new("L", (105, 105), 255)
                text = ["START"]
                for start, stop in ends:
                    ImageDraw.Draw(picture).line([*map(int, start), *map(int, stop)], fill=0, width=3)
                    text += [f"{x},{-y},{10 * step}" for step, (x, y) in enumerate(np.linspace(start, stop, 9))]
                    text.append("BREAK")
                for kind, ending in (("images", "png"), ("strokes", "txt")):
                    path = folder / f"{kind}_background/{name}.{ending}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if kind == "images":
                        picture.save(path)
                    else:
                        path.write_text("\n".join(text))
    if zipped:
        for kind in ("images", "strokes"):
            below = folder / f"{kind}_background"
            with zipfile.ZipFile(folder / f"{kind}_background.zip", "w") as archive:
                for path in below.rglob("*.*"):
                    archive.write(path, path.relative_to(folder))
                    path.unlink()
            for path in sorted(below.rglob("*"), reverse=True):
                path.rmdir()
            below.rmdir()

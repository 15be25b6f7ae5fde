"""Fixed one-shot trials in the layout of Omniglot: which training picture shows the same as a test picture?

    run01/training/class01.png ... class20.png     one picture of each class
    run01/test/item01.png ... item20.png           pictures to be told
    run01/class_labels.txt                         run01/test/item01.png run01/training/class08.png

Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction (Science 2015).
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class OneShotRun(NamedTuple):
    """One run: some pictures to be told, each a trial of its own, against the same classes.

    Attributes:
        name: the folder's, run01 for instance.
        training: (W, 1, H, W) uint8, one picture of each class, as stored.
        test: (T, 1, H, W) uint8.
        classes: (T,) int64, the place of the right class in `training`.
    """

    name: str
    training: Tensor
    test: Tensor
    classes: Tensor


def load_trials(path: str | Path) -> list[OneShotRun]:
    """Load all runs of a folder or zip file, sorted by name; folders above the runs don't matter.

    Raises:
        FileNotFoundError: there is no such path, or a picture that a class_labels.txt names is missing.
        ValueError: nothing in it has the layout.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} doesn't exist; give the folder or zip file that holds run01, run02, ...")
    if path.is_dir():
        files = {
            file.relative_to(path).as_posix(): file.read_bytes for file in sorted(path.rglob("*")) if file.is_file()
        }
        return _runs(path, files)
    with zipfile.ZipFile(path) as archive:
        return _runs(path, {name: _reader(archive, name) for name in sorted(archive.namelist())})


def _reader(archive: zipfile.ZipFile, name: str) -> Callable[[], bytes]:
    return lambda: archive.read(name)


def _runs(path: Path, files: dict[str, Callable[[], bytes]]) -> list[OneShotRun]:
    runs = []
    for name in sorted(name for name in files if name.endswith("/class_labels.txt")):
        folder = name.removesuffix("/class_labels.txt")
        above = folder.rpartition("/")[0]
        answers = {}
        for line in files[name]().decode().split("\n"):
            if line.strip():
                item, answer = (f"{above}/{word}".lstrip("/") for word in line.split())
                answers[item] = answer
        classes = sorted(other for other in files if other.startswith(f"{folder}/training/") and other.endswith(".png"))
        missing = sorted(({*answers} - files.keys()) | ({*answers.values()} - {*classes}))
        if missing:
            raise FileNotFoundError(f"{path}: {name} names {missing[0]}, which isn't there")
        training, test = (torch.stack([_picture(files[file]()) for file in side]) for side in (classes, answers))
        right = torch.tensor([classes.index(answer) for answer in answers.values()])
        runs.append(OneShotRun(folder.rpartition("/")[2], training, test, right))
    if not runs:
        raise ValueError(f"{path} holds no runNN/class_labels.txt; give what holds run01, run02, ...")
    return runs


def _picture(content: bytes) -> Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("L")))[None]

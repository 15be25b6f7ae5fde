"""Checkpoint files: written whole or not at all, and read as data, never as programs."""

import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from metric_lightning.errors import UserError

CONFIG = "metric_lightning_config"  # key of the configuration of the run, a text, in checkpoints of the command line
MEASURED_WITH = "measured_with"  # key of a checkpoint's digest, in files of figures
_BLOCK = 1 << 20
_ZIP = b"PK\x03\x04"  # how what torch.save writes begins


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write beside `path`, then rename: whatever happens meanwhile, the file there is a whole one, the old or the new.

    Raises:
        UserError: it can't be written, on a full disk say; the message names the newest whole checkpoint there is.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(path)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".unfinished")
        try:
            with os.fdopen(descriptor, "wb") as file:
                torch.save(content, file)
                # Else a machine that loses power may keep the new name, and nothing below it.
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o644)
            os.replace(beside, path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _not_written(path, error.strerror or str(error)) from error
    except RuntimeError as error:
        # torch's own word for a write that came out short.
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        raise _not_written(path, "the disk may be full") from error


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a checkpoint's content, data only: nothing in it is executed.

    Raises:
        UserError: the file is not there, cut short, or no checkpoint.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder and no checkpoint{_instead(path, but=None)}")
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}{_neighbours(path)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what makes a file unreadable; the sentence below says it
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and zipfile raise many kinds for a damaged file
        raise UserError(f"{path} {_fault_of(path, error)}{_instead(path.parent, but=path)}") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise UserError(f"{path} is no checkpoint of a training run: it has no state_dict")
    return content


def digest_of(path: str | os.PathLike[str] | None) -> str | None:
    """Return the SHA-256 of a checkpoint file: figures are kept with it, to be known as those of these very weights.

    None for None, and where there is no such file on this machine.
    """
    if path is None or not Path(path).is_file():
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def newest_checkpoint(folder: Path, but: Path | None = None) -> Path | None:
    """Return the newest checkpoint below a folder that can be read whole; None where there is none.

    Args:
        folder: looked through with all its folders.
        but: a file to pass over.
    """
    return newest_whole(path for path in folder.rglob("*.ckpt") if path != but)


def newest_whole(paths: Iterable[Path]) -> Path | None:
    """Return the newest of these checkpoints that can be read whole; None where there is none."""
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
            return path
        except Exception:  # as above
            continue
    return None


def _not_written(path: Path, reason: str) -> UserError:
    whole = newest_checkpoint(path.parent)
    kept = f"the last one, {whole}, is whole: go on from it" if whole else "there is none before it"
    return UserError(f"checkpoint {path} can't be written ({reason}); {kept} when there is room")


def _remove_unfinished(path: Path) -> None:
    """Remove what a killed process has left."""
    for left in path.parent.glob(f".{path.name}.*.unfinished"):
        left.unlink(missing_ok=True)


def _fault_of(path: Path, error: Exception) -> str:
    """Say what is wrong with a file that can't be read as a checkpoint."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_ZIP))
    except OSError as trouble:
        return f"can't be read ({trouble.strerror})"
    code = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", str(error))
    if code is not None:
        return (
            f"is not read: it holds {code.group(1)}, which is no plain data but code that would run, and was not run; "
            "take a checkpoint that holds data alone"
        )
    if not head:
        return "is empty and no checkpoint"
    if head == _ZIP:
        return "can't be read as a checkpoint: it is cut short or damaged"
    return "is no checkpoint: it is no file that torch.save writes"


def _instead(folder: Path, but: Path | None) -> str:
    whole = newest_checkpoint(folder, but=but)
    return f"; the newest whole one is {whole}" if whole else "; there is no whole one beside it"


def _neighbours(path: Path) -> str:
    folder = next((parent for parent in path.parents if parent.is_dir()), Path("."))
    others = sorted(other.name for other in folder.glob("*.ckpt") if other != path)
    return f"; in {folder} there is {', '.join(others)}" if others else ""

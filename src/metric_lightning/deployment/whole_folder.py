"""Folders that are there whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metric_lightning.errors import UserError
from metric_lightning.printable import is_text, printable


@contextmanager
def whole_folder(target: Path, known_by: str) -> Iterator[Path]:
    """Give a new folder beside `target`, which takes its place when the block ends well, and goes when it doesn't.

    Args:
        target: a folder that doesn't exist, is empty, or is one of our own, to be replaced.
        known_by: a file in it that says it is our own.

    Raises:
        UserError: there is something else at `target`, or it can't be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as place:
        ...     with whole_folder(Path(place, "index"), known_by="index.json") as folder:
        ...         _ = (folder / "index.json").write_text("{}")
        ...     os.listdir(place), os.listdir(Path(place, "index"))
        (['index'], ['index.json'])
    """
    require_ours(target, known_by)
    with scratch_folder(target) as beside:
        yield beside
        beside.chmod(0o755)  # mkdtemp's own mode keeps others on a shared machine from reading
        _replace(target, beside)


def require_ours(target: Path, known_by: str) -> None:
    """Refuse to write where something else is, or nothing may be written; see `whole_folder`. Makes no folder.

    Raises:
        UserError: it is so, or the folder's name is no text.
    """
    require_text(target)
    above = next(parent for parent in Path(os.path.abspath(target)).parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        number = errno.EACCES if above.is_dir() else errno.ENOTDIR
        raise _not_written(target, OSError(number, os.strerror(number)))
    if target.exists() and not (target / known_by).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise UserError(f"{printable(target)} is there already and holds something else; choose another --output")


def require_text(folder: Path) -> None:
    """Refuse a folder that not every library can name.

    Raises:
        UserError: its name is no UTF-8.
    """
    if not is_text(folder):
        raise UserError(f"the name of the folder {printable(folder)} is no UTF-8: rename it, or choose another")


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Give a new folder beside `target`, and remove it when the block ends.

    Raises:
        UserError: it can't be made, or written in.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise _not_written(target, error) from error
    try:
        yield beside
    except OSError as error:
        raise _not_written(target, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _replace(target: Path, beside: Path) -> None:
    if not target.exists():
        os.rename(beside, target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.old."))
    os.rename(target, old / "old")
    os.rename(beside, target)
    shutil.rmtree(old, ignore_errors=True)


def _not_written(target: Path, error: OSError) -> UserError:
    return UserError(
        f"{printable(target)} can't be written ({error.strerror or error}): make room there, or choose another --output"
    )

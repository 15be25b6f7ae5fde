"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metric_lightning.errors import UserError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write beside `path`, then rename, so that a reader (TensorBoard, say) never sees half a file.

    Args:
        path: its folder is made where needed.
        content: a text is written as UTF-8.

    Raises:
        UserError: the disk is full, or the folder can't be written to.
    """
    with written_beside(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path`, which takes its place when the block ends well, and goes when it doesn't.

    For what is too large to be held in memory a second time. To learn before an hour's work whether a file can be
    written at all, see `require_writable`.

    Raises:
        UserError: as above.
    """
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        beside = Path(name)
        yield beside
        os.chmod(beside, 0o644)  # mkstemp's own mode keeps others on a shared machine from reading
        os.replace(beside, path)
    except OSError as error:
        raise UserError(
            f"{path} can't be written ({error.strerror}): make room there, or choose another folder for runs "
            "(save_dir of the logger)"
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Refuse a file that can't be written; its folder is made where needed.

    Raises:
        UserError: it can't.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UserError(f"{path} can't be written ({error.strerror}); choose another --output") from error
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file as --output")

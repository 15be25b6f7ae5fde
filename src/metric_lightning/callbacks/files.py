"""Files that are there whole or not at all."""

import os
import tempfile
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
    data = content.encode() if isinstance(content, str) else content
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(beside, 0o644)  # mkstemp's own mode keeps others on a shared machine from reading
        os.replace(beside, path)
    except OSError as error:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
        raise UserError(
            f"{path} can't be written ({error.strerror}): make room there, or choose another folder for runs "
            "(save_dir of the logger)"
        ) from error

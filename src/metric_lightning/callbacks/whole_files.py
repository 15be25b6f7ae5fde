"""How a trainer's checkpoints get onto the disk and back."""

import zipfile
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO

from metric_lightning.checkpoints import read_checkpoint, write_checkpoint


class WholeFiles(TorchCheckpointIO):
    """Local checkpoints whole or not at all; those elsewhere ("s3://...") as Lightning does it.

    Lightning writes to the system's temporary folder and moves: across file systems that is a copy, which a killed
    process leaves half done in the place of the last good checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write beside, then rename.

        Raises:
            UserError: the disk is full; what was there before still is.
        """
        if _is_remote(path):
            super().save_checkpoint(checkpoint, path, storage_options)
        else:
            write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Return the content.

        Raises:
            UserError: the file is cut short; the message names the newest whole one.
        """
        try:
            return super().load_checkpoint(path, map_location, weights_only)
        except Exception:
            if not _is_remote(path) and not zipfile.is_zipfile(path):
                read_checkpoint(path)  # says in one sentence what is wrong
            raise


def _is_remote(path: Any) -> bool:
    return "://" in str(path)

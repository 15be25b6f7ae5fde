"""Which exceptions are the user's to mend, and in what words."""

import errno
import traceback
from pathlib import Path

from lightning.fabric import accelerators as fabric_accelerators
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import accelerators
from lightning.pytorch.trainer.connectors import accelerator_connector

import metric_lightning
from metric_lightning.command_line.messages import one_sentence
from metric_lightning.errors import UserError
from metric_lightning.modules.gather import sentence_of_lost_rank

_PACKAGE = Path(metric_lightning.__file__).parent
_DEVICES = tuple(
    Path(str(place.__file__)).parent for place in (accelerators, fabric_accelerators, accelerator_connector)
)
_FILE_TROUBLE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a file is where a folder should be",
    errno.EEXIST: "a file is where a folder should be",
    errno.EISDIR: "a folder is where a file should be",
}
# What a command line of Lightning's is doing, by function, and whose arguments it does it with.
_SECTIONS = {"_set_seed": "seed_everything", "_instantiate_trainer": "trainer"}


def sentence_of(error: BaseException) -> str | None:
    """Return what to tell the user; None where the error is a fault of the program, whose traceback matters."""
    if isinstance(error, UserError | MisconfigurationException):
        return _first_sentence(error)
    if isinstance(error, OSError) and error.errno in _FILE_TROUBLE:
        where = f" ({error.filename})" if error.filename else ""
        return f"{_FILE_TROUBLE[error.errno]}{where}: files could not be written; make room or choose another folder"
    if isinstance(error, RuntimeError) and "loading state_dict" in str(error):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"the checkpoint is of another architecture than the configured model: {' '.join(lines[1:2])}"
    if isinstance(error, ValueError) and "SyncBatchNorm layers only work with GPU" in str(error):
        return "sync_batchnorm needs GPUs: PyTorch has it for no other device; leave it out on CPU ranks"
    if isinstance(error, RuntimeError | ValueError) and "in SLURM `--" in str(error):
        return _first_sentence(error)  # Lightning's: the job's size is not the trainer's
    if isinstance(error, RuntimeError) and "Early stopping conditioned on metric" in str(error):
        return _first_sentence(error)  # Lightning's: it names the figures that there are
    lost = sentence_of_lost_rank(error)
    if lost is not None:
        return lost
    if isinstance(error, ValueError) and "validate against any of the Union" in str(error):
        return one_sentence(str(error))  # a constructor's refusal, as jsonargparse wraps it
    if isinstance(error, ValueError | OSError) and _raised_in((_PACKAGE,), error):
        return _first_sentence(error)
    if isinstance(error, ValueError | TypeError):
        return _refused_by_another(error) or (_first_sentence(error) if _raised_in(_DEVICES, error) else None)
    return None


def _refused_by_another(error: BaseException) -> str | None:
    """Say which class of another package refuses its arguments; None where none does."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name in _SECTIONS:
            return f"{_SECTIONS[frame.f_code.co_name]}: {_first_sentence(error)}"
        if frame.f_code.co_name == "default_class_instantiator":  # jsonargparse's, which makes what a config names
            made = frame.f_locals.get("class_type")
            if isinstance(made, type) and not made.__module__.startswith(f"{metric_lightning.__name__}."):
                return f"{made.__module__}.{made.__qualname__} refuses its arguments: {_first_sentence(error)}"
    return None


def _raised_in(places: tuple[Path, ...], error: BaseException) -> bool:
    """Whether code in one of these folders refused a value, and not a library below or above it."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and not set(places).isdisjoint(Path(frames[-1].filename).parents)


def _first_sentence(error: BaseException) -> str:
    # torch hands on what a loading process raised with the whole traceback for a message.
    text = str(error)
    if text.startswith("Caught ") and "worker process" in text:
        text = text.strip().splitlines()[-1].partition(": ")[2]
    return " ".join(text.split())

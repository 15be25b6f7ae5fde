"""What a run was, and what came of it."""

import io
import json
import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from metric_lightning.callbacks.hyperparameters import hyperparameters, session_end, session_start
from metric_lightning.callbacks.messages import note
from metric_lightning.callbacks.run_folder import is_rehearsal, run_folder, tensorboard_logger, tensorboard_writer
from metric_lightning.callbacks.run_record import global_seed, run_record
from metric_lightning.checkpoints import MEASURED_WITH, digest_of
from metric_lightning.files import write_atomically

Figures = dict[str, dict[str, Any]]


class RunSummary(Callback):
    """Keeps a record of the run, its hyperparameters and its figures.

    In the run's folder, each file whole or not at all:

    - `run.json`, when training (or a test) starts: versions of packages, git commit and changed files, seed,
      fingerprint of the data, command, machine; under "resumed" the same of each process that went on with the run;
    - `metrics.json`, after training and after each test: {"train": {...}, "val": {...}, "test": {...}, "fit": {...}}
      with the last logged value of each figure (null: not a number), and of `fit` the epochs, steps, seconds
      (evaluation included) and best checkpoint. Figures of a part that isn't measured again are kept. Under
      "measured_with" the SHA-256 of the checkpoint file that a part was measured with, where it was one;
    - `summary.txt`: the figures of validation and test as a table for readers.

    In TensorBoard, the hparams tab: hyperparameters of model, data and trainer beside all figures. Where the run keeps
    no files nothing is written, and that is said once.

    Cost: 0.1 s a run on one core, for 4,000 28x28 images in memory.
    """

    def __init__(self) -> None:
        self._figures: Figures = {}
        self._measured_with: dict[str, str] = {}
        self._started = 0.0
        self._recorded: Path | None = None
        self._said = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()
        self._figures, self._measured_with = {}, {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take(trainer, "train", "val")
        self._figures["fit"] = {
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "seconds": round(time.monotonic() - self._started, 2),
        } | _best(trainer)
        self._write(trainer)
        self._end_session(trainer, succeeded=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._take(trainer, "val")
            self._note_checkpoint(trainer, "val")
            self._write(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._record(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take(trainer, "test")
        self._note_checkpoint(trainer, "test")
        self._write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.state.fn == "fit":
            self._end_session(trainer, succeeded=False)

    def _record(self, trainer: Trainer, module: LightningModule) -> None:
        """Write how the run was made and list it in the hparams tab, once a folder."""
        if not trainer.is_global_zero or is_rehearsal(trainer):
            return
        folder = run_folder(trainer)
        if folder is None:
            if not self._said:
                note(trainer, "RunSummary writes nothing: the run has no logger with a folder.")
            self._said = True
            return
        if folder == self._recorded:
            return
        self._recorded = folder
        _keep_record(folder / "run.json", trainer, run_record(trainer, module))
        logger, writer = tensorboard_logger(trainer), tensorboard_writer(trainer)
        if logger is None or writer is None:
            return
        if getattr(logger, "_default_hp_metric", False):
            note(
                trainer,
                "TensorBoard's hparams tab will show hp_metric alone; TensorBoardLogger(default_hp_metric=False) "
                "shows all figures.",
            )
        writer._get_file_writer().add_summary(session_start(hyperparameters(trainer, module, global_seed())))

    def _take(self, trainer: Trainer, *parts: str) -> None:
        for name, value in trainer.callback_metrics.items():
            part, _, figure = name.partition("/")
            if part in parts and figure:
                self._figures.setdefault(part, {})[figure] = float(f"{float(value):.7g}")  # float32 has no more digits

    def _note_checkpoint(self, trainer: Trainer, part: str) -> None:
        digest = digest_of(trainer.ckpt_path) if trainer.is_global_zero else None
        self._measured_with.pop(part, None)
        if digest is not None:
            self._measured_with[part] = digest

    def _write(self, trainer: Trainer) -> None:
        folder = run_folder(trainer)
        if not trainer.is_global_zero or is_rehearsal(trainer) or folder is None:
            return
        path = folder / "metrics.json"
        earlier: Figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        kept = earlier.pop(MEASURED_WITH, {})
        self._measured_with = {p: kept[p] for p in kept if p not in self._figures} | self._measured_with
        self._figures = earlier | self._figures
        measured_with = {MEASURED_WITH: self._measured_with} if self._measured_with else {}
        write_atomically(path, as_json(self._figures | measured_with))
        text = io.StringIO()
        Console(file=text, width=100).print(summary_table(self._figures))
        write_atomically(folder / "summary.txt", text.getvalue())

    def _end_session(self, trainer: Trainer, succeeded: bool) -> None:
        if trainer.is_global_zero and not is_rehearsal(trainer) and self._recorded is not None:
            writer = tensorboard_writer(trainer)
            if writer is not None:
                writer._get_file_writer().add_summary(session_end(succeeded))
                writer.flush()


def _keep_record(path: Path, trainer: Trainer, record: dict[str, Any]) -> None:
    """Write the record; of a run that goes on beneath that of its first process."""
    if path.exists() and trainer.state.fn != "fit":
        return
    if path.exists() and trainer.ckpt_path is not None:
        first = json.loads(path.read_text(encoding="utf-8"))
        first.setdefault("resumed", []).append(record | {"checkpoint": str(trainer.ckpt_path)})
        record = first
    write_atomically(path, as_json(record))


def summary_table(figures: Figures) -> Table:
    """Return the figures of validation and test as a table, a row for each figure."""
    parts = [part for part in ("val", "test") if part in figures]
    table = Table(title="Figures of the run")
    table.add_column("figure")
    for part in parts:
        table.add_column(part, justify="right")
    for name in dict.fromkeys(name for part in reversed(parts) for name in figures[part]):
        values = (figures[part].get(name) for part in parts)
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in values))
    return table


def as_json(data: Any) -> str:
    """Return data as JSON for people; what isn't a finite number becomes null, which JSON has.

    Example:
        >>> print(as_json({"a": float("nan"), "b": [1.5]}), end="")
        {
          "a": null,
          "b": [
            1.5
          ]
        }
    """
    return json.dumps(_finite(data), indent=2, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _best(trainer: Trainer) -> dict[str, Any]:
    checkpoint = trainer.checkpoint_callback
    path = getattr(checkpoint, "best_model_path", "")
    if not path:
        return {}
    score = getattr(checkpoint, "best_model_score", None)
    return {
        "best_checkpoint": str(path),
        "monitor": getattr(checkpoint, "monitor", None),
        "best_score": None if score is None else float(score),
    }

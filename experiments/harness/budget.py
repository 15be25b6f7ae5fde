"""What a training has cost."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Budget(Callback):
    """Counts the seconds of `fit` (validation included) and the inputs that went through the network in training.

    Both go on counting when a run is resumed. On many ranks: this rank's inputs.

    Attributes:
        images: number of inputs, each as often as it was seen.
    """

    def __init__(self) -> None:
        self.images = 0
        self._earlier = 0.0
        self._started: float | None = None
        self._closed = False

    @property
    def seconds(self) -> float:
        """Return the seconds so far."""
        return self._earlier + (0.0 if self._started is None else time.monotonic() - self._started)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.images += len(batch[1])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._earlier, self._started = self.seconds, None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._closed = self._closed or stage == "fit"

    def state_dict(self) -> dict[str, Any]:
        return {"images": self.images, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self._closed:
            return  # the best checkpoint is loaded for its evaluation: what was spent after it is spent all the same
        self.images, self._earlier = state_dict["images"], state_dict["seconds"]

"""SIGTERM, as clusters send it before they take a machine away."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Trainer


class StopSignal:
    """Notes a SIGTERM, to be asked about between steps.

    Lightning's own handler makes ranks talk to each other at once, in the middle of whatever they are doing; this one
    only notes.
    """

    def __init__(self) -> None:
        self._received = False
        self._before: Any = None

    def listen(self) -> None:
        """Take the signal from now on. Handlers belong to the main thread: elsewhere nothing changes."""
        self._received = False
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)

    def forget(self) -> None:
        """Give the signal back to whoever had it before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def received(self, trainer: Trainer) -> bool:
        """Whether any rank has received it; all ranks must ask, and get the same answer."""
        if trainer.world_size == 1:
            return self._received
        anyone = torch.tensor(float(self._received), device=trainer.strategy.root_device)
        return bool(trainer.strategy.reduce(anyone, reduce_op="sum") > 0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = True

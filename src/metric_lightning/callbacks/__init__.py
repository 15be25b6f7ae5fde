"""Callbacks: what a run shows of itself. One a file."""

from metric_lightning.callbacks.best_checkpoint import BestCheckpoint

__all__ = ["BestCheckpoint"]

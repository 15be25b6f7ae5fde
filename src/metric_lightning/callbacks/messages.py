"""What callbacks tell the user: one sentence, on one rank, in the console and in TensorBoard."""

import logging

from lightning.pytorch import Trainer

from metric_lightning.callbacks.run_folder import tensorboard_writer

# A child of Lightning's logger: shown as Lightning's own messages are, and silenced with them.
_LOG = logging.getLogger("lightning.pytorch.metric_lightning")


def note(trainer: Trainer, sentence: str) -> None:
    """Tell something worth knowing."""
    if trainer.is_global_zero:
        _LOG.info(sentence)


def warn(trainer: Trainer, topic: str, sentence: str) -> None:
    """Tell something the user should act upon; it is also kept in TensorBoard's text tab under `topic`."""
    if not trainer.is_global_zero:
        return
    _LOG.warning(sentence)
    writer = tensorboard_writer(trainer)
    if writer is not None:
        writer.add_text(topic, sentence, trainer.global_step)
        writer.flush()

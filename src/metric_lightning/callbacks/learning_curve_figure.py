"""The learning curves of a run as a picture."""

from lightning.pytorch import Callback, LightningModule, Trainer

from metric_lightning.callbacks.events import read_scalars
from metric_lightning.callbacks.loss_distances import collapsed_cost
from metric_lightning.callbacks.pictures import write_figure
from metric_lightning.callbacks.run_folder import is_rehearsal, run_folder, tensorboard_logger, tensorboard_writer
from metric_lightning.modules import MetricModule
from metric_lightning.plots import learning_curves
from metric_lightning.plots.learning_curves import Curve, Level

LOSS_PANEL = "loss of the training batch"
_RATES = ("precision_at_1", "r_precision", "map_at_r", "knn_accuracy")


class LearningCurveFigure(Callback):
    """Draws loss, validation figures and distances over the steps, at the end of training: `figures/curves.png`.

    A wide grey line shows what the loss costs with all embeddings in one point, if that doesn't depend on the batch: a
    triplet loss's margin, or log 2 of a soft one.

    Read from the run's TensorBoard events, so that a resumed run has all its curves. Without a TensorBoardLogger
    nothing is written. Cost: half a second on one core, and reading the events.
    """

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or is_rehearsal(trainer) or tensorboard_logger(trainer) is None:
            return
        folder, writer = run_folder(trainer), tensorboard_writer(trainer)
        assert folder is not None and writer is not None
        writer.flush()
        panels = panels_of(read_scalars(folder))
        if panels:
            cost = collapsed_cost(pl_module.loss) if isinstance(pl_module, MetricModule) else None
            write_figure(trainer, "curves", learning_curves(panels, levels=levels_of(cost)))


def levels_of(cost: float | None) -> dict[str, Level]:
    """Return the line in the panel of the loss: what it costs with all samples in one point, where that is known."""
    return {} if cost is None else {LOSS_PANEL: Level("all in one point", cost)}


def panels_of(scalars: dict[str, Curve]) -> dict[str, dict[str, Curve]]:
    """Return the curves worth a look, by panel; panels without curves are left out."""
    panels = {
        LOSS_PANEL: {"train/loss": "loss"},
        "share (0..1)": {f"val/{name}": f"validation {name}" for name in _RATES}
        | {"train/active_pairs": "active pairs"},
        "distance (units of the loss)": {
            "val_embedding/positive_distance": "validation, same class",
            "val_embedding/negative_distance": "validation, different classes",
        },
    }
    found = {
        title: {name: scalars[tag] for tag, name in tags.items() if tag in scalars} for title, tags in panels.items()
    }
    return {title: curves for title, curves in found.items() if curves}

"""Figures in a run: as PNG in its folder, and in TensorBoard."""

from lightning.pytorch import Trainer
from matplotlib.figure import Figure

from metric_lightning.callbacks.run_folder import FIGURES, run_folder, tensorboard_writer
from metric_lightning.files import write_atomically
from metric_lightning.plots.canvas import pixels, png


def write_figure(trainer: Trainer, name: str, figure: Figure) -> None:
    """Write a figure to `figures/<name>.png` of the run's folder and to TensorBoard's images, `figures/<name>`.

    For rank 0, in a run that has a folder.

    Raises:
        UserError: the file can't be written.
    """
    image = pixels(figure)
    folder = run_folder(trainer)
    if folder is not None:
        write_atomically(folder / FIGURES / f"{name}.png", png(image))
    writer = tensorboard_writer(trainer)
    if writer is not None:
        writer.add_image(f"{FIGURES}/{name}", image, trainer.global_step, dataformats="HWC")
        writer.flush()

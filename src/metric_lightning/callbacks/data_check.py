"""Data that can't give a fair result say so before training."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from metric_lightning.callbacks.messages import note, warn
from metric_lightning.data.duplicates import digests_of
from metric_lightning.data.problems import equal_inputs, pairs_of, parts_of, single_sample_classes


class DataCheck(Callback):
    """Names, before training and in one sentence with the remedy, data that make figures meaningless.

    - The same input in two parts: in training and test, say. What is measured is memory then.
    - Training classes with one sample: they have no positive pair, so that losses on pairs can't learn from them. (Of
      losses with weights for each class nothing is said, they learn from single samples too.)

    Told in the console and in TensorBoard's text. Inputs are compared as the network gets them, bit for bit; pictures
    in files by their files' content. `metric-lightning data` looks for more.

    Cost: every input is loaded once (files are read, but not decoded), one second for 10,000 28x28 images in memory.
    Where the parts have more than `max_inputs` samples together, inputs are not compared, and that is said.

    Args:
        max_inputs: samples of all parts together that may be loaded.

    Attributes:
        named: what was found, by name.

    Raises:
        ValueError: max_inputs is negative.
    """

    def __init__(self, max_inputs: int = 20_000):
        if max_inputs < 0:
            raise ValueError(f"max_inputs must be at least 0, got {max_inputs}")
        self.max_inputs = max_inputs
        self.named: dict[str, str] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.named = {}
        data: Any = getattr(trainer, "datamodule", None)
        parts = parts_of(data)
        if "train" not in parts or not trainer.is_global_zero:
            return
        if not getattr(getattr(pl_module, "loss", None), "learns_classes", False):
            self._name(trainer, "single_sample_classes", single_sample_classes(parts["train"]))
        size = sum(map(len, parts.values()))
        if size > self.max_inputs:
            note(
                trainer,
                f"DataCheck does not look for inputs that are in two parts: {size:,} samples are more than its "
                f"max_inputs={self.max_inputs:,}.",
            )
            return
        digests = {name: digests_of(part) for name, part in parts.items()}
        for one, other in pairs_of(parts):
            name = f"leakage_{other}" if one == "train" else f"leakage_{one}_{other}"
            self._name(trainer, name, equal_inputs(one, other, parts, digests[one], digests[other]))

    def _name(self, trainer: Trainer, name: str, sentence: str | None) -> None:
        if sentence is not None:
            self.named[name] = sentence[0].upper() + sentence[1:]
            warn(trainer, f"diagnosis/{name}", self.named[name])

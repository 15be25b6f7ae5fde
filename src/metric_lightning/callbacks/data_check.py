"""Data that can't give a fair result say so before training."""

import hashlib

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from metric_lightning.callbacks.messages import note, warn
from metric_lightning.callbacks.samples import PART_TITLES, Part, dataset_of, inputs_of
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.listing import some


class DataCheck(Callback):
    """Names, before training and in one sentence with the remedy, data that make figures meaningless.

    - The same input in the training set and in the validation or test set: what is measured is memory then.
    - Training classes with one sample: they have no positive pair, so that losses on pairs can't learn from them.

    Told in the console and in TensorBoard's text. Inputs are compared as the network gets them, bit for bit; pictures
    in files by their files' content.

    Cost: every input is loaded once (files are read, but not decoded), one second for 10,000 28x28 images in memory.
    Where the sets have more than `max_inputs` samples together, inputs are not compared, and that is said.

    Args:
        max_inputs: samples of all sets together that may be loaded.

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
        train = dataset_of(trainer, "train")
        if train is None or not trainer.is_global_zero:
            return
        held_out: dict[Part, LabelledDataset] = {}
        for part in ("val", "test"):
            dataset = dataset_of(trainer, part)
            if dataset is not None and len(dataset):
                held_out[part] = dataset
        # Of two views a sample is a positive pair by itself.
        if not (train.input_shape and isinstance(train.input_shape[0], tuple)):
            self._name(trainer, "single_sample_classes", single_sample_classes(train.labels, train.class_names))
        size = len(train) + sum(map(len, held_out.values()))
        if size > self.max_inputs:
            note(
                trainer,
                f"DataCheck does not look for inputs that are both in training and test: {size:,} samples are more "
                f"than its max_inputs={self.max_inputs:,}.",
            )
            return
        known = digests(train)
        for part, dataset in held_out.items():
            self._name(trainer, f"leakage_{part}", leakage(known, digests(dataset), part))

    def _name(self, trainer: Trainer, name: str, sentence: str | None) -> None:
        if sentence is not None:
            self.named[name] = sentence
            warn(trainer, f"diagnosis/{name}", sentence)


def single_sample_classes(labels: Tensor, class_names: list[str]) -> str | None:
    """Return what to say of classes with one sample, None where there are none."""
    classes, counts = torch.unique(labels, return_counts=True)
    single = [class_names[label] for label in classes[counts == 1].tolist()]
    if not single:
        return None
    return (
        f"{len(single)} training {_plural('class', single)} ({some(single)}) {_have(single)} one sample and so no "
        "positive pair: add samples, leave such classes out, or augment and let the batches repeat them."
    )


def leakage(training: dict[bytes, int], held_out: dict[bytes, int], part: Part) -> str | None:
    """Return what to say of inputs that are in both sets, given by digest and index; None where there are none."""
    shared = [(index, training[digest]) for digest, index in held_out.items() if digest in training]
    if not shared:
        return None
    pairs = some([f"{index} = {other}" for index, other in sorted(shared)])
    return (
        f"{len(shared)} inputs of the {PART_TITLES[part]} are in the training set too (index there = index in "
        f"training: {pairs}), so its figures measure memory: take duplicates out before the split."
    )


def digests(dataset: LabelledDataset) -> dict[bytes, int]:
    """Return a digest of every different input, and the index of the first sample that has it; {} of no tensors."""
    found: dict[bytes, int] = {}
    if len(dataset) and dataset.digest_of(0) is not None:
        for index in range(len(dataset)):
            digest = dataset.digest_of(index)
            if digest is not None:  # a file that vanished is named by who loads it
                found.setdefault(digest, index)
        return found
    for batch in inputs_of(dataset, torch.arange(len(dataset))):
        if not isinstance(batch.inputs, Tensor):
            return {}
        for index, value in zip(batch.indices.tolist(), batch.inputs.cpu().contiguous(), strict=True):
            found.setdefault(hashlib.blake2b(value.numpy().tobytes(), digest_size=16).digest(), index)
    return found


def _plural(noun: str, names: list[str]) -> str:
    return noun if len(names) == 1 else f"{noun}es"


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"

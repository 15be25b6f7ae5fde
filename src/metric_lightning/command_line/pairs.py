"""`predict --pairs FILE`: same or different, by the threshold that a checkpoint holds."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from metric_lightning.data import MetricDataModule
from metric_lightning.data.batch import Batch
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically
from metric_lightning.metrics import VerificationMetrics
from metric_lightning.modules import MetricModule
from metric_lightning.modules.collect import joined

_BATCH = 256
Pair = tuple[str, str]


def judge_pairs(
    trainer: Trainer, module: MetricModule, data: MetricDataModule, file: Path, ckpt_path: str | None, output: Path
) -> str:
    """Write `first,second,distance,same,probability`, a line for each pair of the file, in its order.

    Args:
        trainer: embeds.
        module: its first `VerificationMetrics` says the distance, the threshold and the probability.
        data: its test part holds the samples that indices name, and prepares the pictures that paths name.
        file: two columns, see `read_columns`: indices of the test part, or paths of pictures.
        ckpt_path: the checkpoint that holds weights and threshold.
        output: where to.

    Returns:
        What was written, for people.

    Raises:
        UserError: the file doesn't read so, names what isn't there, or the checkpoint has no threshold.
    """
    pairs = read_columns(file)
    data.prepare_data()
    data.setup("predict")
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    inputs = _Inputs(names, _input_of(data, names, file))
    # The trainer loads the checkpoint, and with it the threshold.
    batches = trainer.predict(module, dataloaders=inputs, ckpt_path=ckpt_path)
    metric = fitted_metric(module)
    place = {name: place for place, name in enumerate(names)}
    embeddings = joined(batches).embeddings  # type: ignore[arg-type]
    first, second = (embeddings[[place[pair[side]] for pair in pairs]] for side in (0, 1))
    distances = metric.distances(first, second)
    assert metric.calibration is not None
    same, probabilities = metric.calibration.same(distances), metric.calibration.probability(distances)
    if trainer.is_global_zero:
        write_atomically(output, _table(pairs, distances, same, probabilities))
    threshold = f"at most {metric.calibration.threshold:.4g} apart"
    return f"{len(pairs)} pairs, of which {int(same.sum())} are the same ({threshold}): {output}"


def read_columns(file: Path) -> list[Pair]:
    """Return the pairs of a text file: two columns parted by a comma, a tab or blanks; # begins a comment line.

    Raises:
        UserError: the file can't be read, a line has not two columns, or there is no pair.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text in UTF-8"
        raise UserError(f"--pairs {file} can't be read ({reason})") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        mark = next((mark for mark in (",", "\t") if mark in line), None)
        words = line.split() if mark is None else [word.strip() for word in next(csv.reader([line], delimiter=mark))]
        if len(words) != 2 or not all(words):
            raise UserError(
                f"{file}:{number}: {line!r} must be two indices or two paths, with a comma, a tab or blanks between"
            )
        pairs.append((words[0], words[1]))
    if not pairs:
        raise UserError(f"--pairs {file} holds no pair; a line is two indices or two paths")
    return pairs


def fitted_metric(module: LightningModule) -> VerificationMetrics:
    """Return the module's first verification metric with a fitted threshold.

    Raises:
        UserError: there is none.
    """
    for metric in module.metrics:  # type: ignore[union-attr]
        if isinstance(metric, VerificationMetrics) and metric.calibration is not None:
            return metric
    raise UserError(
        "the checkpoint holds no fitted threshold: name metric_lightning.metrics.VerificationMetrics in model.metrics, "
        "and train with validation data"
    )


class _Inputs:
    """Batches of the named inputs, each once, as a loader would give them."""

    def __init__(self, names: list[str], input_of: Callable[[str], Tensor]):
        self.names, self.input_of = names, input_of

    def __len__(self) -> int:
        return -(-len(self.names) // _BATCH)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.names), _BATCH):
            inputs = torch.stack([self.input_of(name) for name in self.names[start : start + _BATCH]])
            places = torch.arange(start, start + len(inputs))
            yield Batch(inputs, torch.full_like(places, -1), places)


def _input_of(data: MetricDataModule, names: list[str], file: Path) -> Callable[[str], Tensor]:
    """Return how to get an input: names are indices where all are whole numbers, else paths."""
    test = data.test_set

    def of_index(name: str) -> Tensor:
        inputs: Tensor = test[int(name)][0]
        return inputs

    def of_path(name: str) -> Tensor:
        try:
            with Image.open(name) as picture:
                picture.load()
        except OSError as error:
            raise UserError(f"{file} names the picture {name}, which can't be read ({error})") from error
        return test.input_of(picture)

    if not all(name.isdecimal() for name in names):
        return of_path
    largest = max(names, key=int)
    if int(largest) >= len(test):
        raise UserError(f"{file} names the index {largest}, but the test part has {len(test)} samples, 0 the first")
    return of_index


def _table(pairs: list[Pair], distances: Tensor, same: Tensor, probabilities: Tensor) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["first", "second", "distance", "same", "probability"])
    for pair, *values in zip(pairs, distances.tolist(), same.tolist(), probabilities.tolist(), strict=True):
        distance, is_same, probability = values
        writer.writerow([*pair, f"{distance:.7g}", str(is_same).lower(), f"{probability:.7g}"])
    return text.getvalue()

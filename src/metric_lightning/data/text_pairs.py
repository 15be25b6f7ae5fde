"""Pairs of texts from a table of two columns: a wrong and a right spelling, a short and a long description."""

import csv
from abc import ABC
from pathlib import Path
from typing import Any

import torch

from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.loader import EvaluationLoader
from metric_lightning.data.parquet import read_parquet
from metric_lightning.data.splits import ClassSplit
from metric_lightning.data.strategy import BatchStrategy
from metric_lightning.data.text_dataset import TextDataset
from metric_lightning.data.text_encoding import Characters, TextEncoding
from metric_lightning.data.two_view_dataset import TwoViewDataset
from metric_lightning.errors import DataNotFound, UserError

Pairs = list[tuple[str, str]]


class TextPairsModule(MetricDataModule, ABC):
    """Pairs of texts; inputs are `TwoViews` of `Sequences`, a class is what has the same second text.

    Class-disjoint: no second text of the test part is in the training or validation part. While testing, the gallery is
    all that isn't tested, the validation part too: with `metrics.LookupAccuracy` the right second text is then looked
    for among all.

    Args:
        pairs: (first, second).
        encoding: how text becomes tokens; None: `Characters()`.
        validation_size: share of the different second texts that validate.
        test_size: share that tests.
        split_seed: of the draw.
        batches: how training batches are drawn. None: `PlainBatches()`.
        eval_batch_size: samples in a batch of the other loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches, not of the split. None: the one given to `seed_everything`, else 0.

    Raises:
        ValueError: shares that leave nothing to train.
        UserError: fewer than three different second texts.
    """

    def __init__(
        self,
        pairs: Pairs,
        encoding: TextEncoding | None = None,
        validation_size: float = 0.1,
        test_size: float = 0.1,
        split_seed: int = 0,
        batches: BatchStrategy | None = None,
        eval_batch_size: int = 1024,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        if not (validation_size >= 0 and test_size >= 0 and validation_size + test_size < 1):
            raise ValueError(
                f"validation_size={validation_size} and test_size={test_size} must be shares, below 1 together"
            )
        self.pairs = pairs
        self.encoding = Characters() if encoding is None else encoding
        names = sorted({second for _, second in pairs})
        if len(names) < 3:
            raise UserError(
                f"the pairs have {len(names)} different second texts; at least three are needed to part them"
            )
        validation, test = (round(size * len(names)) for size in (validation_size, test_size))
        super().__init__(
            class_names=names,
            input_shape=((self.encoding.size,), (self.encoding.size,)),
            batches=batches,
            split=ClassSplit(len(names) - validation - test, validation, test, seed=split_seed),
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        number_of = {name: number for number, name in enumerate(self.own_class_names)}
        labels = torch.tensor([number_of[second] for _, second in self.pairs])
        views = [
            TextDataset([pair[side] for pair in self.pairs], labels, self.own_class_names, self.encoding)
            for side in (0, 1)
        ]
        self._pool = TwoViewDataset(*views)
        return self._pool, None

    def gallery_dataloader(self) -> EvaluationLoader | list[EvaluationLoader]:
        """Return a loader of the training part; while testing, of all that isn't tested."""
        if self.trainer is None or not self.trainer.testing:
            return super().gallery_dataloader()
        return self.untested_dataloader()

    def untested_dataloader(self) -> EvaluationLoader | list[EvaluationLoader]:
        """Return a loader of all pairs that aren't in the test part, each once, in order."""
        self.setup()
        tested = torch.tensor(self.split.classes(self.own_class_names).test, dtype=torch.int64)
        return self._evaluation_loader(self._part(self._pool, (~torch.isin(self._pool.labels, tested)).nonzero()[:, 0]))


class TextPairs(TextPairsModule):
    r"""Pairs of texts from two columns of a CSV, TSV or Parquet file.

    Args:
        table: the file; its first line names the columns.
        first: name of the column that is looked up by; None: the first column.
        second: name of the column that is looked for; None: the second column.
        encoding: how text becomes tokens; None: `Characters()`.
        validation_size: share of the different second texts that validate.
        test_size: share that tests.
        split_seed: of the draw.
        batches: how training batches are drawn. None: `PlainBatches()`.
        eval_batch_size: samples in a batch of the other loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches, not of the split. None: the one given to `seed_everything`, else 0.

    Raises:
        DataNotFound: there is no such file.
        UserError: it can't be read, a column is missing, or a text is empty.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lines = ["short,long", *(f"{n},number {n}" for n in range(10))]
        ...     _ = (Path(folder) / "pairs.csv").write_text("\n".join(lines))
        ...     data = TextPairs(f"{folder}/pairs.csv")
        >>> data.num_classes, data.class_names[0]
        (8, 'number ...')
    """

    def __init__(
        self,
        table: str,
        first: str | None = None,
        second: str | None = None,
        encoding: TextEncoding | None = None,
        validation_size: float = 0.1,
        test_size: float = 0.1,
        split_seed: int = 0,
        batches: BatchStrategy | None = None,
        eval_batch_size: int = 1024,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        pairs = read_pairs_of_texts(Path(table).expanduser(), first, second)
        super().__init__(
            pairs, encoding, validation_size, test_size, split_seed, batches, eval_batch_size, num_workers, seed
        )


def read_pairs_of_texts(file: Path, first: str | None = None, second: str | None = None) -> Pairs:
    """Return two columns of a table, row by row; see `TextPairs`.

    Raises:
        DataNotFound: there is no such file.
        UserError: it can't be read, a column is missing, or a text is empty.
    """
    if not file.is_file():
        raise DataNotFound(f"there is no table {file}; give a .csv, .tsv or .parquet file of two columns as `table`")
    table = read_parquet(file) if file.suffix.lower() in (".parquet", ".pq") else _csv(file)
    names = list(table)
    if len(names) < 2:
        raise UserError(f"{file} has {len(names)} column, but pairs need two; its first line must name them")
    chosen = [names[place] if name is None else name for place, name in enumerate((first, second))]
    for name in chosen:
        if name not in table:
            raise UserError(f"{file} has no column {name!r}; its columns are {', '.join(names)}")
    pairs = [(str(a or ""), str(b or "")) for a, b in zip(table[chosen[0]], table[chosen[1]], strict=True)]
    empty = next((row for row, pair in enumerate(pairs) if not pair[0].strip() or not pair[1].strip()), None)
    if empty is not None:
        raise UserError(f"{file}: row {empty + 1} of {len(pairs)} has an empty text; fill it in or leave the row out")
    return pairs


def _csv(file: Path) -> dict[str, list[Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} can't be read ({error}); save it as UTF-8") from error
    rows = list(csv.DictReader(text.splitlines(keepends=True), delimiter="\t" if file.suffix == ".tsv" else ","))
    short = next((number for number, row in enumerate(rows, 1) if None in row or None in row.values()), None)
    if short is not None:
        raise UserError(
            f"{file}: row {short} has not as many columns as the first line; put quotes round commas in texts"
        )
    names = list(rows[0]) if rows else []
    return {name: [row[name] for row in rows] for name in names}

"""Misspellings and their corrections, from the dictionary of the package codespell."""

import importlib.util
from pathlib import Path

from metric_lightning.data.strategy import BatchStrategy
from metric_lightning.data.text_encoding import TextEncoding
from metric_lightning.data.text_pairs import Pairs, TextPairsModule
from metric_lightning.errors import DataNotFound

_DICTIONARY = "data/dictionary.txt"


class Codespell(TextPairsModule):
    """Some 59,000 misspellings (first view) of some 14,000 words (second view); `pip install codespell` brings them.

    Misspellings with several corrections are left out. No word of the test part is in the training part.

    Args:
        dictionary: another file of lines `wrong->right`; None: the installed package's.
        encoding: how text becomes tokens; None: `Characters()`.
        validation_size: share of the words that validate.
        test_size: share that tests.
        split_seed: of the draw.
        batches: how training batches are drawn. None: `PlainBatches()`.
        eval_batch_size: samples in a batch of the other loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches, not of the split. None: the one given to `seed_everything`, else 0.

    Raises:
        DataNotFound: the package isn't installed, or there is no such file.

    References:
        https://github.com/codespell-project/codespell (the dictionary is under CC BY-SA 3.0)
    """

    def __init__(
        self,
        dictionary: str | None = None,
        encoding: TextEncoding | None = None,
        validation_size: float = 0.1,
        test_size: float = 0.1,
        split_seed: int = 0,
        batches: BatchStrategy | None = None,
        eval_batch_size: int = 1024,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        pairs = read_dictionary(_installed() if dictionary is None else Path(dictionary).expanduser())
        super().__init__(
            pairs, encoding, validation_size, test_size, split_seed, batches, eval_batch_size, num_workers, seed
        )


def read_dictionary(file: Path) -> Pairs:
    """Return (wrong, right) of the lines that hold one correction.

    Raises:
        DataNotFound: there is no such file, or no such line in it.
    """
    if not file.is_file():
        raise DataNotFound(f"there is no dictionary {file}; leave `dictionary` out and pip install codespell")
    lines = (line.split("->") for line in file.read_text(encoding="utf-8").splitlines())
    # Several corrections, or a remark behind a single one, are parted by commas.
    pairs = [(words[0].strip(), words[1].strip()) for words in lines if len(words) == 2 and "," not in words[1]]
    pairs = [pair for pair in pairs if pair[0] and pair[1]]
    if not pairs:
        raise DataNotFound(f"{file} holds no line wrong->right; give codespell's dictionary.txt")
    return pairs


def _installed() -> Path:
    found = importlib.util.find_spec("codespell_lib")
    if found is None or found.origin is None:
        raise DataNotFound("codespell, which brings the misspellings, is not installed: pip install codespell")
    return Path(found.origin).parent / _DICTIONARY

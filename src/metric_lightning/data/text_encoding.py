"""Text as numbers: bytes or hashed words. Nothing is learned, so there is no vocabulary to keep."""

import hashlib
import re
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from metric_lightning.data.strategy import require_at_least
from metric_lightning.parts import Part

_WORD = re.compile(r"\w+|[^\w\s]")
_FILL, _END = 0, 1


class TextEncoding(Part, ABC):
    """Turns a text into tokens 0..size-1. 0 fills up, 1 ends every text, so that an empty one has a token too.

    Args:
        max_length: tokens of a text, its end included; what is longer is cut.
    """

    def __init__(self, max_length: int):
        self.max_length = require_at_least("max_length", max_length, 1)

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of different tokens."""

    @abstractmethod
    def tokens_of(self, text: str) -> list[int]:
        """Return the tokens of a text, 2..size-1, without its end."""

    def encode(self, text: str) -> Tensor:
        """Return the tokens (T,) int64 of a text, cut and ended."""
        return torch.tensor([*self.tokens_of(text)[: self.max_length - 1], _END])


class Characters(TextEncoding):
    """The bytes of a text in UTF-8: any language, a letter beyond ASCII is several.

    Args:
        max_length: tokens of a text, its end included; what is longer is cut.

    Example:
        >>> Characters().size, Characters().encode("ab").tolist()
        (258, [99, 100, 1])
    """

    def __init__(self, max_length: int = 256):
        super().__init__(max_length)

    @property
    def size(self) -> int:
        """Number of different tokens."""
        return 256 + 2

    def tokens_of(self, text: str) -> list[int]:
        return [byte + 2 for byte in text.encode()]


class Words(TextEncoding):
    """Words in lower case and marks, each hashed to one of `buckets`: no vocabulary, and no word is unknown.

    Words of one bucket are the same to a network; with 2^15 buckets and a vocabulary of 10,000 words a word shares its
    bucket with probability about 0.26.

    Args:
        buckets: how many different words are told apart at most.
        max_length: tokens of a text, its end included; what is longer is cut.

    Example:
        >>> words = Words()
        >>> words.encode("To be, or not").shape, bool((words.encode("be") == words.encode("BE")).all())
        (torch.Size([6]), True)
    """

    def __init__(self, buckets: int = 2**15, max_length: int = 128):
        super().__init__(max_length)
        self.buckets = require_at_least("buckets", buckets, 1)

    @property
    def size(self) -> int:
        """Number of different tokens."""
        return self.buckets + 2

    def tokens_of(self, text: str) -> list[int]:
        return [2 + self._bucket(word) for word in _WORD.findall(text.lower())]

    def _bucket(self, word: str) -> int:
        return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") % self.buckets

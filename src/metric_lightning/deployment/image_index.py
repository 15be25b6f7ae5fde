"""A search index of pictures: their embeddings, and a table that says which they are. A folder of plain data."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from metric_lightning import __version__
from metric_lightning.deployment.picture_table import PictureTable
from metric_lightning.deployment.vector_index import IndexKind, VectorIndex
from metric_lightning.deployment.whole_folder import require_text, whole_folder
from metric_lightning.errors import UserError
from metric_lightning.functional.pair_distances import TrueDistance

VECTORS, TABLE, FACTS = "vectors.faiss", "table.csv", "index.json"
_FORMAT = 1
_TEXTS = ("kind", "distance", "root", "model", "checkpoint")
_NUMBERS = ("pictures", "dimension")


class ImageIndex:
    """n pictures to search in.

    On disk it is a folder: `vectors.faiss` as FAISS writes it, `table.csv` with `path,label` in the order of the
    vectors, and `index.json` with the facts. All are data; nothing is executed when they are read.

    Args:
        vectors: n embeddings.
        table: n rows.
        model: fingerprint of the model that made the embeddings.
        checkpoint: where that model was, "" where that isn't known.
    """

    def __init__(self, vectors: VectorIndex, table: PictureTable, model: str, checkpoint: str = ""):
        if len(vectors) != len(table.names):
            raise UserError(
                f"the index has {len(vectors)} vectors but {len(table.names)} rows in its table; build it again"
            )
        self.vectors, self.table, self.model, self.checkpoint = vectors, table, model, checkpoint

    def __len__(self) -> int:
        return len(self.vectors)

    def require_model(self, fingerprint: str) -> None:
        """Refuse another model than the one that made the embeddings: distances between the two mean nothing.

        Raises:
            UserError: it is another.
        """
        if fingerprint != self.model:
            made = f" ({self.checkpoint})" if self.checkpoint else ""
            raise UserError(
                f"the index was built with another checkpoint{made}: search with that one (--ckpt_path), or build the "
                "index again with this one"
            )

    def save(self, folder: str | os.PathLike[str], facts: dict[str, Any] | None = None) -> None:
        """Write the index as a folder, whole or not at all; an index that is there is replaced.

        Args:
            folder: where to.
            facts: more to note in `index.json`.

        Raises:
            UserError: there is something else, or it can't be written.
        """
        content = {
            "format": _FORMAT,
            "kind": self.vectors.kind,
            "distance": self.vectors.distance,
            "pictures": len(self),
            "dimension": self.vectors.dimension,
            "root": self.table.root,
            "model": self.model,
            "checkpoint": self.checkpoint,
            "metric_lightning": __version__,
        }
        with whole_folder(Path(folder), known_by=FACTS) as beside:
            self.vectors.write(beside / VECTORS)
            (beside / TABLE).write_text(self.table.text(), encoding="utf-8", errors="surrogateescape", newline="")
            (beside / FACTS).write_text(json.dumps(content | (facts or {}), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "ImageIndex":
        """Return an index that `save` has written.

        Raises:
            UserError: there is none, or it is damaged.
        """
        place = Path(folder)
        require_text(place)
        facts = _facts(place)
        vectors = VectorIndex.read(place / VECTORS, facts["kind"], facts["distance"])
        for name, held in (("pictures", len(vectors)), ("dimension", vectors.dimension)):
            if facts[name] != held:
                raise UserError(
                    f"{place / FACTS} says {name}: {facts[name]}, but {VECTORS} has {held}: files of two indices were "
                    "mixed; build the index again"
                )
        return cls(vectors, PictureTable.read(place / TABLE, facts["root"]), facts["model"], facts["checkpoint"])


def _facts(place: Path) -> dict[str, Any]:
    """Return what `index.json` says, all of it there and of its kind."""
    try:
        facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"there is no index in {place}: make one with `metric-lightning index`") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{place / FACTS} can't be read ({error}); build the index again") from error
    if not isinstance(facts, dict):
        raise UserError(f"{place / FACTS} holds no JSON object of facts; build the index again")
    if facts.get("format") != _FORMAT:
        raise UserError(f"{place} is an index of format {facts.get('format')}, not {_FORMAT}; build it again")
    wrong = _wrong_fact(facts)
    if wrong is not None:
        raise UserError(f"{place / FACTS} {wrong}; build the index again")
    return facts


def _wrong_fact(facts: Mapping[str, Any]) -> str | None:
    for names, kind, told in ((_TEXTS, str, "a text"), (_NUMBERS, int, "a whole number")):
        for name in names:
            if name not in facts:
                return f"doesn't say its {name}"
            if type(facts[name]) is not kind:
                return f"says {name}: {json.dumps(facts[name])}, which is not {told}"
    for name, known in (("kind", get_args(IndexKind)), ("distance", get_args(TrueDistance))):
        if facts[name] not in known:
            return f"says {name}: {facts[name]!r}, which is none of {', '.join(known)}"
    return None

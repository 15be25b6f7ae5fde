"""What a user's own pictures are: files, labels, and what else is known of each."""

from collections.abc import Sequence
from typing import NamedTuple

from metric_lightning.data.image_files import Box
from metric_lightning.errors import UserError
from metric_lightning.printable import printable

PARTS = ("train", "val", "test", "gallery")
_OTHER_NAMES = {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "testing": "test",
    "query": "test",
}


class Listing(NamedTuple):
    """n pictures.

    Attributes:
        source: what lists them, for messages: a folder or a table.
        paths: n files.
        labels: n class numbers.
        class_names: of all classes.
        parts: "train", "val", "test" or "gallery" of each; None where they are not parted yet.
        boxes: of each; None: whole pictures.
        groups: of each, what a split by sample must not part (pictures of one scene, say); None.
        cameras: of each, where it comes from, for evaluation; None.
        notes: sentences on what was left out.
    """

    source: str
    paths: list[str]
    labels: list[int]
    class_names: list[str]
    parts: list[str] | None = None
    boxes: list[Box] | None = None
    groups: list[str] | None = None
    cameras: list[str] | None = None
    notes: list[str] = []

    def require_two_classes(self) -> "Listing":
        """Return it.

        Raises:
            UserError: fewer than two classes have pictures.
        """
        if len(self.class_names) < 2:
            raise UserError(
                f"{self.source} has one class ({some(self.class_names)}), but there must be another to tell it from; "
                "add pictures of at least one more class"
            )
        return self


def part_named(name: str) -> str | None:
    """Return which part a folder or a table means by a name; None where it means none.

    Example:
        >>> part_named("Validation"), part_named("query"), part_named("cats")
        ('val', 'test', None)
    """
    name = name.strip().lower()
    name = _OTHER_NAMES.get(name, name)
    return name if name in PARTS else None


def some(names: Sequence[object], most: int = 3) -> str:
    """Return the first few names as they may be shown, and how many more there are.

    Example:
        >>> some("abcde")
        'a, b, c and 2 more'
    """
    more = len(names) - most
    return ", ".join(printable(str(name)) for name in names[:most]) + (f" and {more} more" if more > 0 else "")

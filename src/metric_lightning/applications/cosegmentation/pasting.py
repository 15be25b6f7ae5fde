"""Pairs of pictures made of photographs and of garments pasted into them."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from metric_lightning.applications.cosegmentation.pairs import PairDataset
from metric_lightning.data.randomness import torch_random_restored

_INK = 40  # of 255: darker pixels of a garment's picture are its background


class GarmentKind(NamedTuple):
    """What counts as one kind of thing: garments of one class, all turned and stretched alike.

    Attributes:
        label: number of the class.
        pictures: (k, 1, h, w) uint8.
        turn: quarter turns.
        extent: height and width, after turning, in units of the garment's side.
    """

    label: int
    pictures: Tensor
    turn: int = 0
    extent: tuple[float, float] = (1.0, 1.0)


class PastedPairs(PairDataset):
    """Pairs of pictures with garments pasted in; pair i shows kind i modulo their number.

    Its maps of kinds hold 0 for the background and 1 + the place in `kinds` for garments.

    Args:
        kinds: of garments.
        photographs: (3, H, W) uint8 each, larger than `size`.
        count: pairs.
        settings: (size, (smallest, largest garment), distractors, coloured).
        class_names: of all classes.
        fixed: pair i is always the same; else it is drawn from torch's random numbers.
    """

    def __init__(
        self,
        kinds: list[GarmentKind],
        photographs: list[Tensor],
        count: int,
        settings: tuple[int, tuple[int, int], int, bool],
        class_names: list[str],
        fixed: bool,
    ):
        self.size, self.garment_size, self.distractors, self.coloured = settings
        self.kinds, self.photographs, self.fixed = kinds, photographs, fixed
        labels = [kinds[place % len(kinds)].label for place in range(count)]
        super().__init__(labels, class_names, (2, 3, self.size, self.size))

    def pair(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        shared = index % len(self.kinds)
        if not self.fixed:
            return self._drawn(shared)
        with torch_random_restored() as random:
            random.manual_seed(index)
            return self._drawn(shared)

    def _drawn(self, shared: int) -> tuple[Tensor, Tensor, Tensor]:
        others = [kind for kind in range(len(self.kinds)) if kind != shared]
        order = [others[place] for place in torch.randperm(len(others)).tolist()]
        made = [
            self._picture(shared, order[side * self.distractors : (side + 1) * self.distractors]) for side in range(2)
        ]
        pictures, kinds = (torch.stack(part) for part in zip(*made, strict=True))
        return pictures, kinds == 1 + shared, kinds

    def _picture(self, shared: int, distracting: list[int]) -> tuple[Tensor, Tensor]:
        """Return a picture (3, h, w) and what is seen where, (h, w)."""
        photo = self.photographs[_below(len(self.photographs))]
        top, left = (_below(extent - self.size + 1) for extent in photo.shape[1:])
        picture = photo[:, top : top + self.size, left : left + self.size].float()
        seen = torch.zeros(self.size, self.size, dtype=torch.int64)
        kinds = [shared, *distracting]
        for kind in (kinds[place] for place in torch.randperm(len(kinds)).tolist()):
            garment, shape = self._garment(self.kinds[kind])
            rows, columns = self._window(seen == 1 + shared, shape)
            picture[:, rows, columns] = torch.where(shape, garment, picture[:, rows, columns])
            seen[rows, columns] = seen[rows, columns].masked_fill(shape, 1 + kind)
        return picture.round().to(torch.uint8), seen

    def _garment(self, kind: GarmentKind) -> tuple[Tensor, Tensor]:
        """Return a garment (3, h, w) in a random colour, and where it is (h, w)."""
        small, large = self.garment_size
        side = small + _below(large - small + 1)
        upright = kind.pictures[_below(len(kind.pictures))]
        # Before it is turned: a T-shirt turned left and mirrored then is one turned right, another kind.
        if torch.rand(()) < 0.5:
            upright = upright.flip(2)
        shape = [max(1, round(side * share)) for share in kind.extent]
        scaled = interpolate(upright.rot90(kind.turn, (1, 2))[None].float(), shape, mode="bilinear")[0]
        colour = 0.35 + 0.65 * torch.rand(3 if self.coloured else 1, 1, 1)
        # Bright garments in any colour; the least of their own light is kept so that dark ones aren't holes.
        return ((40 + scaled * 215 / 255) * colour).expand(3, -1, -1), scaled[0] > _INK

    def _window(self, taken: Tensor, shape: Tensor) -> tuple[slice, slice]:
        """Return where a garment of this shape goes; of several draws the one that hides least of what is taken."""
        height, width = shape.shape
        corners = [(_below(self.size - height + 1), _below(self.size - width + 1)) for _ in range(4)]
        windows = [(slice(row, row + height), slice(column, column + width)) for row, column in corners]
        hidden = [int((taken[window] & shape).sum()) for window in windows]
        return windows[hidden.index(min(hidden))]


def _below(bound: int) -> int:
    return int(torch.randint(bound, ()))

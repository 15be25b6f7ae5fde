"""Measures co-segmentation with and without the correlation layer on classes never trained on, and draws some pairs.

    python -m experiments.cosegment --correlation a.ckpt b.ckpt c.ckpt --without d.ckpt e.ckpt f.ckpt

Checkpoints of one list are the same method from different seeds, of experiments/cosegmentation/*.yaml, and those at the
same place of both lists have the same seed. Beside them three answers that need no network: everything; every object,
shared or not, to the pixel; and nothing.

Each part, classes trained on (validation) and classes never trained on (test), has four figures: the Jaccard index for
logits above 0; the same above the threshold that is best for the checkpoint's validation pairs, as marking boldly is
a merit of its own; precision; and "told apart", the share of pictures in which the shared object's pixels are on
average marked more surely than the others' (0.5: by chance), which no threshold changes.
Writes table.md and pairs.png to lightning_logs/cosegmentation/.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from experiments.harness.statistics import interval
from metric_lightning.applications.cosegmentation import CosegmentationModule, GarmentPairs, mask_figures
from metric_lightning.applications.cosegmentation.pairs import MaskedPairs
from metric_lightning.applications.cosegmentation.rendering import pair_figure
from metric_lightning.command_line.run_folder import LOGS
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically
from metric_lightning.plots.canvas import pixels, png

_FOLDER = LOGS / "cosegmentation"


class Figures(NamedTuple):
    """Means over the masks of a part."""

    jaccard: float
    jaccard_at_threshold: float
    precision: float
    told_apart: float


def main(arguments: Sequence[str]) -> str:
    """Measure, write, and return the table."""
    options = _options(arguments)
    if options.correlation and options.without and len(options.correlation) != len(options.without):
        raise UserError("give as many checkpoints --without as with --correlation, seed by seed, or leave one list out")
    methods = {
        name: [CosegmentationModule.load_from_checkpoint(path, map_location="cpu").eval() for path in paths]
        for name, paths in {"with correlation": options.correlation, "without": options.without}.items()
    }
    seen, unseen = _parts(options, {module.network.built_for for modules in methods.values() for module in modules})
    answers = [_answers(part) for part in (seen, unseen)]
    logits = {name: [(answers[0][name], answers[1][name])] for name in answers[0]} | {
        name: [(_logits(each, seen), _logits(each, unseen)) for each in modules] for name, modules in methods.items()
    }
    text = _table({name: [judge(*each, seen, unseen) for each in seeds] for name, seeds in logits.items()})
    write_atomically(_FOLDER / "table.md", text)
    shown = MaskedPairs(*(part[: options.shown] for part in unseen))
    drawn = {name: logits[name][0][1][: options.shown] > 0 for name, modules in methods.items() if modules}
    write_atomically(_FOLDER / "pairs.png", png(pixels(pair_figure(shown, drawn))))
    return text


def _table(judged: dict[str, list[tuple[Figures, Figures]]]) -> str:
    pairs = zip(judged["with correlation"], judged["without"], strict=False)
    differences = [(_minus(one[0], other[0]), _minus(one[1], other[1])) for one, other in pairs]
    rows = ["| masks | classes | Jaccard | Jaccard, threshold of validation | precision | told apart |"]
    rows.append("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, seeds in {**judged, "difference, by seed": differences}.items():
        if seeds:
            rows += [_row(name, "seen", [one for one, _ in seeds]), _row(name, "unseen", [one for _, one in seeds])]
    return "\n".join(rows) + "\n"


def judge(of_seen: Tensor, of_unseen: Tensor, seen: MaskedPairs, unseen: MaskedPairs) -> tuple[Figures, Figures]:
    """Return the figures of logits (n, 2, h, w) for both parts; the threshold comes of the first."""
    thresholds = torch.linspace(-3, 3, 25).tolist()
    threshold = max(thresholds, key=lambda each: _jaccard(of_seen > each, seen))
    return _judged(of_seen, seen, threshold), _judged(of_unseen, unseen, threshold)


def _judged(logits: Tensor, pairs: MaskedPairs, threshold: float) -> Figures:
    precision = mask_figures((logits > 0).flatten(0, 1), pairs.masks.flatten(0, 1)).precision.mean()
    bold = _jaccard(logits > threshold, pairs)
    return Figures(_jaccard(logits > 0, pairs), bold, float(precision), told_apart(logits, pairs))


def told_apart(logits: Tensor, pairs: MaskedPairs) -> float:
    """Return how often the shared object's pixels have a higher mean probability than the others'; ties count half.

    Pictures that show no other object are left out; nan where all do.
    """
    shared, others = pairs.masks, (pairs.kinds > 0) & ~pairs.masks
    means = [(logits.sigmoid() * mask).sum((2, 3)) / mask.sum((2, 3)) for mask in (shared, others)]
    ties = torch.isclose(*means)  # a constant's means over different numbers of pixels differ by rounding
    wins = torch.where(ties, 0.5, (means[0] > means[1]).double())
    return float(wins[shared.any(3).any(2) & others.any(3).any(2)].mean())


def _parts(options: argparse.Namespace, sizes: set[tuple[int, ...] | None]) -> list[MaskedPairs]:
    if len(sizes) != 1:
        raise UserError(f"give checkpoints of one size of pictures; these have {sorted(map(str, sizes)) or 'none'}")
    data = GarmentPairs(
        options.root,
        test_classes=options.test_classes,
        evaluation_pairs=options.pairs,
        size=sizes.pop()[-1],  # type: ignore[index]
        garment_size=tuple(options.garment_size),
    )
    data.setup()
    return [part.__getitems__(list(range(len(part)))).inputs for part in (data.val_set, data.test_set)]  # type: ignore


def _answers(pairs: MaskedPairs) -> dict[str, Tensor]:
    marked = {"everything": pairs.kinds > -2, "every object": pairs.kinds > 0, "nothing": pairs.kinds < -1}
    return {name: 18.0 * mask - 9 for name, mask in marked.items()}


@torch.no_grad()
def _logits(module: CosegmentationModule, pairs: MaskedPairs) -> Tensor:
    return torch.cat([module(images) for images in pairs.images.split(32)]).view(pairs.masks.shape)


def _jaccard(masks: Tensor, pairs: MaskedPairs) -> float:
    return float(mask_figures(masks.flatten(0, 1), pairs.masks.flatten(0, 1)).jaccard.mean())


def _minus(first: Figures, second: Figures) -> Figures:
    return Figures(*(one - other for one, other in zip(first, second, strict=True)))


def _row(name: str, part: str, seeds: list[Figures]) -> str:
    cells = []
    for values in zip(*seeds, strict=True):
        mean, half, number = interval(values)
        cells.append(f"{mean:.3f}" if number == 1 else f"{mean:.3f} ± {half:.3f}")
    return f"| {name} | {part} | " + " | ".join(cells) + " |"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m experiments.cosegment", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--root", help="folder of Fashion-MNIST; default: the usual places")
    add("--correlation", nargs="*", default=[], help="checkpoints of correlation.yaml")
    add("--without", nargs="*", default=[], help="checkpoints of no_correlation.yaml")
    add(
        "--test_classes",
        nargs="+",
        default=["Pullover", "Trouser", "Dress", "Sneaker"],
        help="as the checkpoints' data",
    )
    add("--garment_size", type=int, nargs=2, default=(12, 17), help="as the checkpoints were trained on")
    add("--pairs", type=int, default=400, help="to judge, of seen and of unseen classes")
    add("--shown", type=int, default=8, help="pairs in the picture")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

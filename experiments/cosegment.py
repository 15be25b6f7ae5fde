"""Measures co-segmentation with and without the correlation layer on classes never trained on, and draws some pairs.

    python -m experiments.cosegment --correlation a.ckpt b.ckpt c.ckpt --without d.ckpt e.ckpt f.ckpt

Checkpoints of one list are the same method from different seeds, of experiments/cosegmentation/*.yaml. Beside them two
answers that need no network: everything, and nothing. Writes table.md and pairs.png to lightning_logs/cosegmentation/.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.harness.statistics import interval
from metric_lightning.applications.cosegmentation import CosegmentationModule, GarmentPairs, mask_figures
from metric_lightning.applications.cosegmentation.pairs import MaskedPairs
from metric_lightning.applications.cosegmentation.rendering import pair_figure
from metric_lightning.callbacks.files import write_atomically
from metric_lightning.command_line.run_folder import LOGS
from metric_lightning.errors import UserError
from metric_lightning.plots.canvas import pixels, png

_FOLDER = LOGS / "cosegmentation"


def main(arguments: Sequence[str]) -> str:
    """Measure, write, and return the table."""
    options = _options(arguments)
    methods = {
        name: [CosegmentationModule.load_from_checkpoint(path, map_location="cpu").eval() for path in paths]
        for name, paths in {"with correlation": options.correlation, "without": options.without}.items()
    }
    sizes = {module.network.built_for for modules in methods.values() for module in modules}
    if len(sizes) != 1:
        raise UserError(f"give checkpoints of one size of pictures; these have {sorted(map(str, sizes)) or 'none'}")
    size = sizes.pop()[-1]
    small, large = options.garment_size
    data = GarmentPairs(options.root, evaluation_pairs=options.pairs, size=size, garment_size=(small, large))
    data.setup()
    rows = ["| masks | seen classes: Jaccard | precision | unseen classes: Jaccard | precision |"]
    rows.append("| --- | ---: | ---: | ---: | ---: |")
    parts = [_whole(part) for part in (data.val_set, data.test_set)]
    shown = MaskedPairs(*(part[: options.shown] for part in parts[1]))
    found: dict[str, Tensor] = {}
    for name, answer in {"everything": True, "nothing": False}.items():
        cells = [[_figures(torch.full_like(part.masks, answer), part)] for part in parts]
        rows.append(_row(name, cells))
    for name, modules in methods.items():
        if not modules:
            continue
        rows.append(_row(name, [[_figures(_masks(one, part), part) for one in modules] for part in parts]))
        found[name] = _masks(modules[0], shown)
        print(rows[-1], file=sys.stderr, flush=True)
    if found:
        write_atomically(_FOLDER / "pairs.png", png(pixels(pair_figure(shown, found))))
    text = "\n".join(rows) + "\n"
    write_atomically(_FOLDER / "table.md", text)
    return text


def _whole(part: object) -> MaskedPairs:
    inputs: MaskedPairs = part.__getitems__(list(range(len(part)))).inputs  # type: ignore[attr-defined, arg-type]
    return inputs


@torch.no_grad()
def _masks(module: CosegmentationModule, pairs: MaskedPairs) -> Tensor:
    return torch.cat([module.masks(images) for images in pairs.images.split(32)])


def _figures(masks: Tensor, pairs: MaskedPairs) -> tuple[float, float]:
    found = mask_figures(masks.flatten(0, 1), pairs.masks.flatten(0, 1))
    return float(found.jaccard.mean()), float(found.precision.mean())


def _row(name: str, parts: list[list[tuple[float, float]]]) -> str:
    cells = []
    for seeds in parts:
        for values in zip(*seeds, strict=True):
            mean, half, number = interval(values)
            cells.append(f"{mean:.3f}" if number == 1 else f"{mean:.3f} ± {half:.3f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m experiments.cosegment", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--root", help="folder of Fashion-MNIST; default: the usual places")
    add("--correlation", nargs="*", default=[], help="checkpoints of correlation.yaml")
    add("--without", nargs="*", default=[], help="checkpoints of no_correlation.yaml")
    add("--garment_size", type=int, nargs=2, default=(18, 26), help="as the checkpoints were trained on")
    add("--pairs", type=int, default=400, help="to judge, of seen and of unseen classes")
    add("--shown", type=int, default=8, help="pairs in the picture")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

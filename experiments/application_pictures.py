"""Pictures of what a trained application does.

    python -m experiments.application_pictures one_shot --ckpt_path PATH --output FILE.png
    python -m experiments.application_pictures two_towers --ckpt_path PATH --output FILE.png
    python -m experiments.application_pictures verification --ckpt_path PATH --output FILE.png
    python -m experiments.application_pictures text --ckpt_path PATH --output FILE.png

one_shot: trials of one run, the classes with the highest scores behind each picture. two_towers: pictures and the pen
paths that they find among 20, and the reverse. verification: distances of pairs and the ROC curve. text: recall@1
beside edit distance and n-grams. Data are those of the run.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from experiments.harness.saved_data import data_of
from experiments.text.baselines import character_ngrams, edit_distance, of_network, queries_and_items, recall_at_1
from experiments.text.baselines import transposing_distance as with_transpositions
from metric_lightning.callbacks.images import as_images
from metric_lightning.command_line.saved_config import config_of
from metric_lightning.files import write_atomically
from metric_lightning.functional.few_shot import Estimate, draw_episodes
from metric_lightning.metrics.cross_view import both_ways
from metric_lightning.metrics.judging import table_of_distances
from metric_lightning.modules import EmbeddingModule, MetricModule, SiameseModule, TwoTowerModule
from metric_lightning.plots import Picture, gallery_figure, pixels, png, verification_figure
from metric_lightning.plots.canvas import new_figure
from metric_lightning.plots.palette import BLUE, VERMILION

_WAYS, _SHOWN, _SIDE = 20, 6, 64


def one_shot(checkpoint: Path) -> Figure:
    """Draw trials of the first run: each picture, and the classes that its score puts first."""
    data = data_of(checkpoint)
    kind = config_of(str(checkpoint))["model"]["class_path"].rpartition(".")[2]
    module: MetricModule = {"SiameseModule": SiameseModule, "EmbeddingModule": EmbeddingModule}[
        kind
    ].load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu")
    inputs, labels, _ = data.test_set.__getitems__(list(range(2 * _WAYS)))
    images = as_images(inputs)
    with torch.no_grad():
        embeddings = module.eval()(inputs)
    assert images is not None
    known, told = embeddings.split(_WAYS)
    distances = table_of_distances(module.loss.distance, told, known)  # type: ignore[arg-type]
    rows = []
    for place in range(0, _WAYS, 2):
        row = [Picture(images[_WAYS + place], "")]
        for item in distances[place].argsort()[:_SHOWN].tolist():
            right = bool(labels[item] == labels[_WAYS + place])
            row.append(Picture(images[item], f"P(same) {torch.sigmoid(-distances[place, item]):.2g}", right))
        rows.append(row)
    columns = ["which?", *(f"{place}." for place in range(1, _SHOWN + 1))]
    return gallery_figure(rows, columns, "One-shot trials: 20 classes by P(same), framed in blue where right")


def two_towers(checkpoint: Path) -> Figure:
    """Draw one episode: four pictures and the pen paths that they find among 20, four paths and the pictures."""
    data = data_of(checkpoint)
    module = TwoTowerModule.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu")
    known, told = draw_episodes(data.test_set.labels, 1, _WAYS, shots=1, queries=1, seed=1)
    support, questions = known.flatten(), told.flatten()
    samples = module.embed(data.test_dataloader())
    rows = []
    for way, (asking, asked) in both_ways(samples).items():
        asks, shows = (_pictures, _paths) if way == "first_to_second" else (_paths, _pictures)
        distances = torch.cdist(asking.embeddings[questions], asked.embeddings[support])
        for place in range(4):
            order = distances[place].argsort()[:_SHOWN]
            found = shows(data, support[order])
            row = [Picture(asks(data, questions[place : place + 1])[0], "")]
            for image, item in zip(found, order.tolist(), strict=True):
                row.append(Picture(image, f"distance {distances[place, item]:.2f}", item == place))
            rows.append(row)
    columns = ["which?", *(f"{place}." for place in range(1, _SHOWN + 1))]
    return gallery_figure(
        rows, columns, "Pictures find pen paths, paths find pictures: unseen characters, other drawers"
    )


def verification(checkpoint: Path) -> Figure:
    """Draw the distances of all pairs of the test part, and the ROC curve."""
    data = data_of(checkpoint)
    module = EmbeddingModule.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu")
    samples = module.embed(data.test_dataloader())
    first, second = torch.triu_indices(len(samples.labels), len(samples.labels), 1)
    distances = torch.nn.functional.pdist(samples.embeddings)
    same = samples.labels[first] == samples.labels[second]
    return verification_figure(distances, same, "Pairs of unseen characters by other people", "Euclidean")


def text(checkpoint: Path) -> Figure:
    """Draw recall@1 of the network and of what needs no training."""
    data = data_of(checkpoint)
    queries, items, right = queries_and_items(data)
    figures = of_network(data, checkpoint)
    bars = {
        "character\nn-grams": recall_at_1(queries, right, character_ngrams(items)),
        "edit\ndistance": recall_at_1(queries, right, edit_distance(items)),
        "with\ntranspositions": recall_at_1(queries, right, with_transpositions(items)),
        "network": Estimate(figures["lookup_recall_at_1"], figures["lookup_recall_at_1_interval"]),
    }
    figure = new_figure(6, 4)
    axis = figure.subplots()
    for place, (name, bar) in enumerate(bars.items()):
        colour = VERMILION if name == "network" else BLUE
        axis.errorbar([place], [bar.mean], yerr=[bar.interval], fmt="o", color=colour, capsize=6)
        axis.annotate(f"{bar.mean:.3f}", (place, bar.mean), xytext=(10, 0), textcoords="offset points", va="center")
    axis.set_xticks(range(len(bars)), list(bars))
    axis.set_xlim(-0.5, len(bars) - 0.2)
    axis.set_ylabel(f"recall@1 among {len(items):,} corrections")
    axis.set_title(f"{len(queries):,} misspellings of words never trained on")
    axis.grid(axis="y", linewidth=0.3)
    return figure


def _pictures(data: Any, places: Tensor) -> Tensor:
    images = as_images(data.test_set.__getitems__(places.tolist()).inputs.first)
    assert images is not None
    return torch.nn.functional.interpolate(images, size=(_SIDE, _SIDE))


def _paths(data: Any, places: Tensor) -> Tensor:
    """Draw pen paths, from blue where the pen began to red where it ended."""
    steps, lengths = data.test_set.__getitems__(places.tolist()).inputs.second
    drawn = []
    for path, length in zip(steps, lengths.tolist(), strict=True):
        image = Image.new("RGB", (_SIDE, _SIDE), "white")
        pen = ImageDraw.Draw(image)
        points = ((path[:length, :2] + 1) / 2 * _SIDE).tolist()
        for place in range(length):
            shade = int(255 * place / max(1, length - 1))
            start = points[place] if path[place, 4] else points[place - 1]
            pen.line([*start, *points[place]], fill=(shade, 60, 255 - shade), width=2)
        drawn.append(
            torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(_SIDE, _SIDE, 3).permute(2, 0, 1)
        )
    return torch.stack(drawn)


FIGURES = {"one_shot": one_shot, "two_towers": two_towers, "verification": verification, "text": text}


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(FIGURES))
    parser.add_argument("--ckpt_path", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    figure = FIGURES[given.what](given.ckpt_path)
    write_atomically(given.output, png(pixels(figure)))
    print(given.output)


if __name__ == "__main__":
    main()

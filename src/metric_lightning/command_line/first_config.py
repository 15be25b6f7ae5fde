"""Settings for a folder of pictures that nobody has written a config for, and why they are so."""

import math
import os
import shlex
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import torch
import yaml
from PIL import Image
from torchvision.models import get_model_weights

from metric_lightning.data.folder_listing import list_folder
from metric_lightning.data.image_presets import preset
from metric_lightning.data.listing import Listing
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically

Config = dict[str, Any]

# Best first: what is worth waiting for with an accelerator, and what a few cores can train.
_WITH_ACCELERATOR = ("convnext_tiny", "resnet50", "efficientnet_b0", "resnet18", "mobilenet_v3_large")
_WITHOUT = ("resnet18", "mobilenet_v3_large", "efficientnet_b0", "resnet50", "convnext_tiny")
_BATCH = 64
_EPOCH = 20  # batches in an epoch, at least
_LOOKED_AT = 200  # pictures whose size is looked up
_NEIGHBOURS = 5  # what KNNAccuracy asks
_RARE, _MANY = 5, 20  # pictures of a class, classes


class FirstConfig(NamedTuple):
    """A whole configuration, and a sentence on each choice."""

    config: Config
    reasons: list[str]

    def text(self) -> str:
        """Return it as YAML with the reasons above."""
        lines = [f"# - {reason}" for reason in self.reasons]
        settings = yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)
        return "\n".join(["# Chosen because:", *lines, settings])


def first_config(root: Path) -> FirstConfig:
    """Return sound settings for the pictures below `root`, a folder for each class.

    Raises:
        UserError: they can't be trained on, see `ImageFolder`, or every class has one picture.
    """
    listing = list_folder(root).require_two_classes()
    if max(Counter(listing.labels).values()) < 2:
        raise UserError(
            f"every class of {listing.source} has one picture, and nothing shows what is alike; add pictures of its "
            "classes"
        )
    reasons = [_told(listing)]
    network, pictures = _network(listing, reasons)
    data: Config = {"root": str(root), **pictures}
    split, training_classes = _split(listing, reasons)
    if split is not None:
        data["split"] = split
    data["batches"] = _batches(listing, training_classes, reasons)
    data["augment"] = _augment(network["size"], reasons)
    reasons.append("multi-similarity loss: it weighs all pairs of a batch and needs no weights for each class.")
    reasons.append("training stops when validation MAP@R hasn't risen for 10 epochs; the best epoch is kept.")
    rate = 1.0e-3
    model = {
        "network": network["part"],
        "loss": _part("losses.MultiSimilarityLoss"),
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": rate, "weight_decay": 1.0e-4}},
        "metrics": _metrics(listing, reasons),
    }
    stop = {"monitor": "val/map_at_r", "mode": "max", "patience": 10}
    stopping = {"class_path": "lightning.pytorch.callbacks.EarlyStopping", "init_args": stop}
    config = {
        "seed_everything": 0,
        "data": _part("data.ImageFolder", **data),
        "model": _part("modules.EmbeddingModule", **model),
        "trainer": {"max_epochs": 50, "callbacks": [stopping]},
    }
    return FirstConfig(config, reasons)


def write_first_config(first: FirstConfig, name: str) -> Path:
    """Write the config here under this name; a file that is there is left as it is, and another name taken.

    A file with the same settings is taken as it is.

    Raises:
        UserError: it can't be written.
    """
    path, number = Path(f"{name}.yaml"), 1
    while not (claimed := _claim(path)) and not _says_the_same(path, first):
        number += 1
        path = Path(f"{name}_{number}.yaml")
    if claimed:
        try:
            write_atomically(path, f"# metric-lightning fit --config {shlex.quote(str(path))}\n{first.text()}")
        except BaseException:
            path.unlink()
            raise
    return path


def _claim(path: Path) -> bool:
    """Make an empty file, to be written over; whether there was none, and so no file of the user's."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise UserError(f"{path} can't be written ({error.strerror}): run the command in another folder") from error
    return True


def _says_the_same(path: Path, first: FirstConfig) -> bool:
    try:
        return bool(yaml.safe_load(path.read_text(encoding="utf-8")) == first.config)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False


def _told(listing: Listing) -> str:
    parts = "parted by its folders" if listing.parts else "not parted yet"
    return f"{listing.source} holds {len(listing.paths)} pictures of {len(listing.class_names)} classes, {parts}."


def _network(listing: Listing, reasons: list[str]) -> tuple[Config, Config]:
    """Return the network with the size of its inputs, and how pictures are prepared for it."""
    accelerated = torch.cuda.is_available()
    order = _WITH_ACCELERATOR if accelerated else _WITHOUT
    for name in order:
        weights = weights_at_hand(name)
        if weights is None:
            continue
        where = "with an accelerator" if accelerated else "without an accelerator"
        reasons.append(
            f"{name} with its weights {weights}: the first of {', '.join(order)} whose weights are here, "
            f"{where}; its trunk learns at a tenth of the head's rate, its batch normalisation not at all."
        )
        options = {"lr_scale": 0.1, "freeze_batch_norm": True, "head": _part("networks.NormalizedHead")}
        part = _part("networks.TorchvisionBackbone", name=name, weights=weights, embedding_dim=128, normalize=True)
        part["init_args"] |= options
        named = f"{name}:{weights}"
        return {"part": part, "size": preset(named).size[0]}, {"preset": named}
    size = _size(listing)
    reasons.append(
        f"Conv4, a small network, on {size}x{size} pixels: no pretrained weights are on this machine. They make a "
        "large difference for photographs; networks.TorchvisionBackbone downloads some (weights: DEFAULT), or reads "
        "them from a file."
    )
    part = _part("networks.Conv4", embedding_dim=128, normalize=True)
    return {"part": part, "size": size}, {"size": size, "resize": size}


def weights_at_hand(name: str) -> str | None:
    """Return the name of torchvision's newest weights of a model that torch's cache has; None where it has none."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for weights in reversed(list(get_model_weights(name))):
        if (folder / os.path.basename(urlparse(weights.url).path)).is_file():
            return str(weights.name)
    return None


def _size(listing: Listing) -> int:
    """Return the size nearest to the pictures' own that is a multiple of 16, from 32 to 96."""
    step = max(1, len(listing.paths) // _LOOKED_AT)
    sides = []
    for path in listing.paths[::step]:
        try:
            with Image.open(path) as picture:
                sides.append(min(picture.size))
        except Exception:  # what is wrong with it is told by the data's own check
            continue
    side = sorted(sides)[len(sides) // 2] if sides else 96
    return min(96, max(32, 16 * round(side / 16)))


def _split(listing: Listing, reasons: list[str]) -> tuple[Config | None, int]:
    """Return the split, None where folders part the pictures; and how many classes train."""
    if listing.parts is not None:
        trained = {label for label, part in zip(listing.labels, listing.parts, strict=True) if part == "train"}
        reasons.append("the folders say which pictures train, validate and test.")
        return None, len(trained)
    count, typical = len(listing.class_names), _typical(listing)
    if typical < _RARE and count >= _MANY:
        train, validation = round(0.6 * count), round(0.2 * count)
        reasons.append(
            f"split by class, {train} train, {validation} validate, the others test: with {typical} pictures in a "
            "typical class there are too few to part within classes; measured is how unseen classes are told apart."
        )
        return _part("data.ClassSplit", train_classes=train, validation_classes=validation), train
    # MAP@R needs two validation pictures of a class, and training the rest.
    share = 0.2 if typical <= 2 else round(min(0.4, max(0.15, 2 / typical)), 2)
    enough = math.ceil(1 / min(share, 0.2))  # pictures that make one of each part
    sizes = torch.tensor(listing.labels).bincount()
    which = "every class" if int(sizes[sizes > 0].min()) >= enough else f"every class of {enough} pictures or more"
    reasons.append(
        f"split by sample, {share:.0%} validate and 20% test: {which} is in all parts. If new classes are to "
        "be told apart later, use data.ClassSplit; if pictures were taken in series, keep each series in one part."
    )
    return _part("data.SampleSplit", validation_size=share, test_size=0.2), count


def _typical(listing: Listing) -> int:
    sizes = torch.tensor(listing.labels).bincount()
    return int(sizes[sizes > 0].median())


def _batches(listing: Listing, classes: int, reasons: list[str]) -> Config:
    n_classes = max(2, min(classes, _BATCH // 4))
    n_samples = max(2, min(_BATCH // n_classes, _typical(listing)))
    reasons.append(
        f"balanced batches of {n_classes} classes x {n_samples} pictures: every picture has others of its class to be "
        "like, and others to be unlike."
    )
    batches = _part("data.BalancedBatches", n_classes=n_classes, n_samples=n_samples)
    if len(listing.paths) < _EPOCH * n_classes * n_samples:
        reasons.append(
            f"an epoch is {_EPOCH} batches: one pass over so few pictures is too short to be validated after."
        )
        batches["init_args"]["batches_per_epoch"] = _EPOCH
    return batches


def _metrics(listing: Listing, reasons: list[str]) -> list[Config]:
    parts = listing.parts or ["train"] * (len(listing.paths) // 2)  # more than half are trained on
    neighbours = {}
    if min(parts.count(part) for part in ("train", "gallery") if part in parts) < _NEIGHBOURS:
        reasons.append("k-NN asks one neighbour, for there are few pictures.")
        neighbours["k"] = 1
    metrics = [_part("metrics.RetrievalMetrics")]
    if "gallery" in parts:
        reasons.append(
            "test pictures are searched in the gallery; at the end of the run, validation pictures in the training "
            "part."
        )
        metrics.append(_part("metrics.RetrievalMetrics", search="gallery"))
    return [*metrics, _part("metrics.KNNAccuracy", **neighbours), _part("metrics.VerificationMetrics")]


def _augment(size: int, reasons: list[str]) -> list[Config]:
    reasons.append(
        "training pictures are cut, mirrored and recoloured at random; take RandomHorizontalFlip out where mirrored "
        "things are others (letters, digits, left and right), ColorJitter where colour tells classes apart."
    )
    v2 = "torchvision.transforms.v2"
    jitter = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}
    return [
        {"class_path": f"{v2}.RandomResizedCrop", "init_args": {"size": size, "scale": [0.4, 1.0]}},
        {"class_path": f"{v2}.RandomHorizontalFlip"},
        {"class_path": f"{v2}.ColorJitter", "init_args": jitter},
    ]


def _part(path: str, /, **arguments: Any) -> Config:
    part: Config = {"class_path": f"metric_lightning.{path}"}
    return part | ({"init_args": arguments} if arguments else {})

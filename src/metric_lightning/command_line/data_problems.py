"""What is wrong with a data module's data, in sentences that say what to do."""

from collections.abc import Iterator

import torch

from metric_lightning.data import Batch, LabelledDataset, MetricDataModule
from metric_lightning.data.duplicates import Looks, contrary, exact, looks_of, near
from metric_lightning.data.listing import some
from metric_lightning.data.own_images import OwnImages
from metric_lightning.errors import UserError
from metric_lightning.printable import printable

_FEW = 4  # samples of a class that training can just do with
_UNEQUAL = 50  # how many times larger the largest class is than the typical one

Parts = dict[str, LabelledDataset]


def parts_of(data: MetricDataModule) -> Parts:
    """Return the parts that have samples, by name."""
    data.setup()
    parts = {
        "train": data.train_eval_set,
        "val": data.val_set,
        "test": data.test_set,
        "gallery": data.test_gallery_set,
    }
    return {name: part for name, part in parts.items() if part is not None and len(part)}


def problems_of_labels(data: MetricDataModule) -> list[str]:
    """Return what counts alone tell: classes too small, parts that can't be evaluated, files that can't be read."""
    parts = parts_of(data)
    found = []
    if isinstance(data, OwnImages):
        found += data.listing.notes
        if data.faults:
            named = some([sentence.removeprefix("picture ") for sentence in data.faults.values()], 20)
            found.append(
                f"pictures that can't be used: {len(data.faults)} ({named}); fit stops at them unless on_error is skip."
            )
    counts = parts["train"].labels.bincount(minlength=len(data.class_names))[: data.num_classes]
    single = [data.class_names[label] for label in (counts == 1).nonzero().flatten().tolist()]
    small = [data.class_names[label] for label in ((counts > 1) & (counts < _FEW)).nonzero().flatten().tolist()]
    none = [data.class_names[label] for label in (counts == 0).nonzero().flatten().tolist()]
    if none:
        found.append(f"training classes without a usable sample: {len(none)} ({some(none)}); mend or remove them.")
    if single:
        found.append(
            f"training classes with one sample, and so no positive pair: {len(single)} ({some(single)}); add samples, "
            "or leave such classes out."
        )
    if small:
        found.append(f"training classes with fewer than {_FEW} samples: {len(small)} ({some(small)}); add some.")
    typical = float(counts[counts > 0].float().median())
    if float(counts.max()) > _UNEQUAL * typical:
        name = data.class_names[int(counts.argmax())]
        found.append(
            f"class {printable(name)} has {int(counts.max())} training samples, a typical one {typical:.0f}: draw "
            "balanced batches (BalancedBatches), or it decides alone."
        )
    if "val" not in parts:
        found.append(
            "there is no validation part: the last epoch counts as the best, and nothing can stop training early."
        )
    found += _classes_without_match(data, parts)
    for name in ("val", "test"):
        if (
            name in parts
            and int(parts[name].labels.bincount().max()) < 2
            and not (name == "test" and "gallery" in parts)
        ):
            found.append(
                f"no class has two samples in the {name} part: retrieval (MAP@R) can't be measured; enlarge it."
            )
    return found


def _classes_without_match(data: MetricDataModule, parts: Parts) -> list[str]:
    """Return which classes of a part are not where others of the part are searched for."""
    classes = {name: set(part.labels.tolist()) for name, part in parts.items()}
    found = []
    for name, searched in (("val", "train"), ("test", "gallery" if "gallery" in parts else "train")):
        lost = [data.class_names[label] for label in sorted(classes.get(name, set()) - classes[searched])]
        if lost and (classes[name] & classes[searched] or searched == "gallery"):  # else all are unseen: a test of that
            found.append(
                f"classes in {name} that {searched} has no picture of: {len(lost)} ({some(lost)}); a search there "
                "(k-NN, search: gallery) finds nothing for them: add such pictures, or take the classes out."
            )
    return found


def problems_of_batches(data: MetricDataModule) -> list[str]:
    """Return why no training batch can be drawn, if none can."""
    try:
        data.train_dataloader()
    except (UserError, ValueError) as error:
        return [f"no training batch can be drawn: {error}."]
    return []


def problems_of_inputs(data: MetricDataModule) -> list[str]:
    """Return which inputs are in the data twice, between parts or under two labels; loads every input once."""
    parts = parts_of(data)
    looks = {name: looks_of(_batches(data, part)) for name, part in parts.items()}
    found = []
    for name, part in parts.items():
        twice = contrary(looks[name], part.labels)
        if twice:
            shown = some([f"{_named(part, one)} = {_named(part, other)}" for one, other in twice])
            found.append(
                f"inputs of {name} that are there under two labels: {len(twice)} ({shown}); remove the wrong ones."
            )
    names = list(parts)
    for first, one in enumerate(names):
        for other in names[first + 1 :]:
            found += _between(one, other, parts, looks)
    return found


def _batches(data: MetricDataModule, part: LabelledDataset) -> Iterator[Batch]:
    loader = data.loader_of(part)
    if not isinstance(loader, list):  # what it is for a part without samples
        yield from loader


def _between(one: str, other: str, parts: Parts, looks: dict[str, Looks]) -> list[str]:
    found = []
    for kind, pairs, remedy in (
        ("equal inputs", exact(looks[one], looks[other]), "figures measure memory then: keep each in one part."),
        (
            "nearly equal inputs",
            near(looks[one], looks[other]),
            "look at them; pictures of one moment belong into one part (group_column of ImageTable).",
        ),
    ):
        if pairs:
            shown = some([f"{parts[one].name_of(a)} ~ {parts[other].name_of(b)}" for a, b in pairs])
            found.append(f"{kind} in {one} and {other}: {len(pairs)} ({shown}); {remedy}")
    return found


def _named(part: LabelledDataset, index: int) -> str:
    return f"{part.name_of(index)} ({part.class_names[int(part.labels[index])]})"


def counts_of(data: MetricDataModule) -> dict[str, dict[str, int]]:
    """Return, for each class, how many samples each part has."""
    parts = parts_of(data)
    counts = {name: part.labels.bincount(minlength=len(data.class_names)) for name, part in parts.items()}
    return {
        class_name: {name: int(count[label]) for name, count in counts.items()}
        for label, class_name in enumerate(data.class_names)
        if any(int(count[label]) for count in counts.values()) or label < data.num_classes
    }


def sizes_of(data: MetricDataModule) -> dict[str, tuple[int, int]]:
    """Return how many samples and classes each part has."""
    return {name: (len(part), len(torch.unique(part.labels))) for name, part in parts_of(data).items()}

"""What is wrong with a data module's data, in sentences that say what to do."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import torch

from metric_lightning.data.batch import Batch
from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.duplicates import contrary, exact, looks_of, near
from metric_lightning.data.listing import some
from metric_lightning.data.own_images import OwnImages
from metric_lightning.errors import UserError
from metric_lightning.printable import printable

_FEW = 4  # samples of a class that training can just do with
_UNEQUAL = 50  # how many times larger the largest class is than the typical one

_ATTRIBUTES = {"train": "train_eval_set", "val": "val_set", "test": "test_set", "gallery": "test_gallery_set"}

Parts = dict[str, LabelledDataset]


def parts_of(data: object) -> Parts:
    """Return the parts of a data module that is set up, by name: those that have samples."""
    parts = {name: getattr(data, attribute, None) for name, attribute in _ATTRIBUTES.items()}
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
    small = [data.class_names[label] for label in ((counts > 1) & (counts < _FEW)).nonzero().flatten().tolist()]
    none = [data.class_names[label] for label in (counts == 0).nonzero().flatten().tolist()]
    if none:
        found.append(f"training classes without a usable sample: {len(none)} ({some(none)}); mend or remove them.")
    single = single_sample_classes(parts["train"])
    if single is not None:
        found.append(single)
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


def single_sample_classes(train: LabelledDataset) -> str | None:
    """Return what to say of training classes with one sample, None where there are none."""
    if train.input_shape and isinstance(train.input_shape[0], tuple):
        return None  # of two views a sample is a positive pair by itself
    classes, counts = torch.unique(train.labels, return_counts=True)
    single = [train.class_names[label] for label in classes[counts == 1].tolist()]
    if not single:
        return None
    return (
        f"training classes with one sample, and so no positive pair: {len(single)} ({some(single)}); add samples, "
        "leave such classes out, or augment and let the batches repeat them."
    )


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
    for one, other in pairs_of(parts):
        shared = equal_inputs(one, other, parts, looks[one].digests, looks[other].digests)
        found += [] if shared is None else [shared]
        alike = near(looks[one], looks[other])
        if alike:
            found.append(
                f"nearly equal inputs in {one} and {other}: {_shown(one, other, parts, alike)}; look at them; pictures "
                "of one moment belong into one part (group_column of ImageTable)."
            )
    return found


def pairs_of(parts: Parts) -> list[tuple[str, str]]:
    """Return the names of two parts each, all that there are."""
    return list(combinations(parts, 2))


def equal_inputs(
    one: str, other: str, parts: Parts, first: Sequence[bytes | None], second: Sequence[bytes | None]
) -> str | None:
    """Return what to say of inputs that are in two parts, given all digests of both; None where there are none."""
    pairs = exact(first, second)
    if not pairs:
        return None
    shown = _shown(one, other, parts, pairs)
    return f"equal inputs in {one} and {other}: {shown}; figures measure memory then: keep each in one part."


def _shown(one: str, other: str, parts: Parts, pairs: list[tuple[int, int]]) -> str:
    names = [f"{parts[one].name_of(a)} ~ {parts[other].name_of(b)}" for a, b in pairs]
    return f"{len(pairs)} ({some(names)})"


def _batches(data: MetricDataModule, part: LabelledDataset) -> Iterator[Batch]:
    loader = data.loader_of(part)
    if not isinstance(loader, list):  # what it is for a part without samples
        yield from loader


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

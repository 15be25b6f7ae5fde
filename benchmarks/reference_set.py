"""What the recipe of the reference set gives on MNIST-5k in a plain PyTorch loop: the yardstick of the comparison.

    python -m benchmarks.reference_set --seeds 3        (20 minutes on one thread)

Nothing of this package but its digits and their split: random pairs and triplets, miners as loops over pairs, squared
distances in triplet losses, the weights of the last epoch (A. Bielski, siamese-triplet). The figure is test k-NN
accuracy, k = 5, gallery = training part: 3,600 images as in experiments/mnist5k, or 4,000 (`--validation_size 0`).
"""

import argparse
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from metric_lightning.data import MNIST5k, SampleSplit

Integers = np.ndarray
Method = Callable[[nn.Module, Tensor, Integers, np.random.Generator], Iterator[Tensor]]
CLASSES, SAMPLES, MARGIN = 10, 25, 1.0


def siamese(network: nn.Module, inputs: Tensor, labels: Integers, random: np.random.Generator) -> Iterator[Tensor]:
    """Yield the losses of an epoch: a random partner for every image, of its class or of another."""
    members = _members(labels)
    for batch in _batches(random.permutation(len(labels)), 128):
        same = random.random(len(batch)) < 0.5
        others = [_partner(members, labels[i], i, wanted, random) for i, wanted in zip(batch, same, strict=True)]
        squared = (network(inputs[batch]) - network(inputs[others])).square().sum(1)
        yield contrastive(squared, torch.from_numpy(same))


def triplet(network: nn.Module, inputs: Tensor, labels: Integers, random: np.random.Generator) -> Iterator[Tensor]:
    """Yield the losses of an epoch: a random positive and a random negative for every image."""
    members = _members(labels)
    for batch in _batches(random.permutation(len(labels)), 128):
        positive = [_partner(members, labels[i], i, True, random) for i in batch]
        negative = [_partner(members, labels[i], i, False, random) for i in batch]
        anchor = network(inputs[batch])
        near = (anchor - network(inputs[positive])).square().sum(1)
        far = (anchor - network(inputs[negative])).square().sum(1)
        yield (near - far + MARGIN).relu().mean()


def online_contrastive(
    network: nn.Module, inputs: Tensor, labels: Integers, random: np.random.Generator
) -> Iterator[Tensor]:
    """Yield the losses of an epoch: all positive pairs of a balanced batch, as many of the closest negative ones."""
    for batch in _balanced(labels, random):
        embeddings = network(inputs[batch])
        first, second = np.triu_indices(len(batch), 1)
        same = labels[batch][first] == labels[batch][second]
        squared = (embeddings[first] - embeddings[second]).square().sum(1)
        order = np.argsort(np.where(same, np.inf, squared.detach().numpy()))
        kept = np.concatenate([np.flatnonzero(same), order[: same.sum()]])
        yield contrastive(squared[kept], torch.from_numpy(same[kept]))


def online_triplet(
    network: nn.Module, inputs: Tensor, labels: Integers, random: np.random.Generator
) -> Iterator[Tensor]:
    """Yield the losses of an epoch: for each positive pair of a balanced batch a random negative that costs."""
    for batch in _balanced(labels, random):
        embeddings, of = network(inputs[batch]), labels[batch]
        squared = (embeddings[:, None] - embeddings[None]).square().sum(2)
        values = squared.detach().numpy()
        found = []
        for i, j in zip(*np.nonzero(np.triu(of[:, None] == of[None], 1)), strict=True):
            hard = np.flatnonzero((of != of[i]) & (values[i] < values[i, j] + MARGIN))
            if len(hard):
                found.append((i, j, random.choice(hard)))
        if not found:  # as there: one triplet rather than none
            found = [(0, 1, int(np.flatnonzero(of != of[0])[0]))]
        i, j, k = np.array(found).T
        yield (squared[i, j] - squared[i, k] + MARGIN).relu().mean()


METHODS: dict[str, tuple[Method, float]] = {  # and weight decay
    "siamese": (siamese, 0.0),
    "triplet": (triplet, 0.0),
    "online_contrastive_hard_negative_pairs": (online_contrastive, 0.0),
    "online_triplet_random_hard": (online_triplet, 1e-4),
}


def contrastive(squared: Tensor, same: Tensor) -> Tensor:
    """Return the mean contrastive loss of pairs at these squared distances."""
    gaps = (MARGIN - (squared + 1e-12).sqrt()).relu().square()
    return 0.5 * torch.where(same, squared, gaps).mean()


def accuracy(method: str, seed: int, validation_size: int, epochs: int = 20) -> float:
    """Train and return the test k-NN accuracy."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    (inputs, labels), (test_inputs, test_labels) = _digits(validation_size)
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.PReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.PReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 256), nn.PReLU(), nn.Linear(256, 256), nn.PReLU(), nn.Linear(256, 2)),
    )
    losses, decay = METHODS[method]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 8, 0.1)
    for _ in range(epochs):
        for loss in losses(network, inputs, labels, random):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        gallery, queries = (torch.cat([network(part) for part in x.split(500)]) for x in (inputs, test_inputs))
    return float(KNeighborsClassifier(5).fit(gallery, labels).score(queries, test_labels))


def main() -> None:
    """Print the accuracy of each method and seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--validation_size", type=int, default=400, help="images kept from training; 0: as the original"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{4000 - options.validation_size} training images")
    for method in options.methods:
        found = [accuracy(method, seed, options.validation_size) for seed in range(options.seeds)]
        print(
            f"{method:<40} mean {statistics.mean(found):.4f}   {' '.join(f'{value:.4f}' for value in found)}",
            flush=True,
        )


def _digits(validation_size: int) -> list[tuple[Tensor, Integers]]:
    data = MNIST5k(split=SampleSplit(validation_size=validation_size, test_size=1000))
    data.setup()
    batches = (part.__getitems__(list(range(len(part)))) for part in (data.train_eval_set, data.test_set))
    return [(batch.inputs, batch.labels.numpy()) for batch in batches]


def _members(labels: Integers) -> list[Integers]:
    return [np.flatnonzero(labels == label) for label in range(CLASSES)]


def _partner(members: list[Integers], label: int, index: int, same: bool, random: np.random.Generator) -> int:
    if not same:
        label = (label + random.integers(1, CLASSES)) % CLASSES
    found = random.choice(members[label])
    return int(found) if found != index else _partner(members, label, index, True, random)


def _batches(order: Integers, size: int) -> list[Integers]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _balanced(labels: Integers, random: np.random.Generator) -> Iterator[Integers]:
    orders = [random.permutation(found) for found in _members(labels)]
    for start in range(0, min(map(len, orders)) - SAMPLES + 1, SAMPLES):
        yield np.concatenate([order[start : start + SAMPLES] for order in orders])


if __name__ == "__main__":
    main()

r"""Digits of which one in thirty is labelled as the next: what `MislabelledCandidates` shall find.

    python -m metric_lightning.cli fit --config experiments/mnist5k/online_triplet_random_hard.yaml \
        --data experiments.mislabelled_digits.MislabelledDigits --experiment mnist5k/mislabelled --trainer.max_epochs 5

Its figures/mislabelled_train.png is the picture in docs/seeing.md.
"""

from metric_lightning.data import ArrayDataset, MNIST5k

_EVERY = 30


class MislabelledDigits(MNIST5k):
    """`MNIST5k` with a wrong label on every thirtieth digit, of training and test alike."""

    def load(self) -> tuple[ArrayDataset, None]:
        """Return the digits."""
        digits, _ = super().load()
        assert isinstance(digits, ArrayDataset)
        labels = digits.labels.clone()  # the digits themselves are kept for other runs of this process
        labels[::_EVERY] = (labels[::_EVERY] + 1) % len(digits.class_names)
        return ArrayDataset(digits.images, labels, digits.class_names, mean=0.1307, std=0.3081), None

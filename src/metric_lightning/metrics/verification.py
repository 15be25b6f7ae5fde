"""Verification metrics of an embedded set."""

from pathlib import Path
from typing import Any

from torch import Tensor

from metric_lightning.functional.pair_distances import TrueDistance, count_all_pairs, pair_distances
from metric_lightning.functional.verification import (
    PairCounts,
    accuracy,
    count_pairs,
    equal_error_rate,
    fold_accuracy,
    roc_auc,
    true_accept_rate,
)
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.metrics.calibration import Calibration, Method, calibration_from, fit_calibration
from metric_lightning.metrics.pair_list import PairList, read_pairs
from metric_lightning.parts import describe


class VerificationMetrics(EmbeddingMetric):
    """How well a distance tells whether two samples are the same (have the same label, or share one).

    Figures, by the definitions of `functional.verification`: `roc_auc`, `equal_error_rate`, `tar_at_far_<far>` (the
    point written as an underscore); with a list of pairs in folds `fold_accuracy` and `fold_accuracy_standard_error`
    (as LFW reports them); and once a threshold is fitted `verification_accuracy`, its accuracy.

    `fit` chooses the threshold and the probability of being the same on validation data. They become part of the
    module's `state_dict`, and so of its checkpoint. On the very data that it was fitted to, the accuracy is flattering.

    - **Pairs**: all pairs of the set, each once, none of a sample with itself; or those of a file (see `read_pairs`).
    - **Ties**: equal distances are accepted together; in the ROC-AUC a tie counts one half.
    - **One kind of pairs only**: all figures are nan, and `fit` fits nothing.

    Args:
        false_accept_rates: the FARs at which TAR is given.
        distance: "euclidean" or "cosine".
        bins: distances are counted in that many bins, in bounded memory; None for exact figures in O(pairs) memory.
            See `functional.pair_distances.count_all_pairs` for what bins cost in precision.
        pairs_file: a list of pairs to judge instead of all. Always exact.
        calibration: "platt" or "isotonic", how the probability is fitted.
        balanced: accuracy, threshold and probability weigh same and different pairs alike. Among all pairs of a set
            the different ones are so many that plain accuracy would be high for answering "different" always.

    Raises:
        ValueError: an argument outside its range, embeddings that aren't finite, or a list with samples that aren't in
        the set.

    Example:
        >>> import torch
        >>> line = EmbeddedSet(torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([0, 0, 1]), torch.arange(3))
        >>> metric = VerificationMetrics(false_accept_rates=(0.1,))
        >>> metric.fit(line)
        >>> metric.evaluate(line)
        {'roc_auc': 1.0, 'equal_error_rate': 0.0, 'tar_at_far_0_1': 1.0, 'verification_accuracy': 1.0}
        >>> metric.calibration.same(torch.tensor([0.9, 4.5])).tolist()
        [True, False]
    """

    def __init__(
        self,
        false_accept_rates: tuple[float, ...] = (0.1, 0.01, 0.001),
        distance: TrueDistance = "euclidean",
        bins: int | None = 2**20,
        pairs_file: str | None = None,
        calibration: Method = "platt",
        balanced: bool = True,
    ) -> None:
        super().__init__()
        if any(not 0 <= far <= 1 for far in false_accept_rates):
            raise ValueError(f"false_accept_rates={tuple(false_accept_rates)} must lie in [0, 1]")
        if distance not in ("euclidean", "cosine"):
            raise ValueError(f"distance={distance!r} must be 'euclidean' or 'cosine'")
        if bins is not None and bins < 1:
            raise ValueError(f"bins={bins} must be at least 1, or None")
        if calibration not in ("platt", "isotonic"):
            raise ValueError(f"calibration={calibration!r} must be 'platt' or 'isotonic'")
        self.false_accept_rates = tuple(false_accept_rates)
        self.distance: TrueDistance = distance
        self.bins, self.balanced = bins, balanced
        self.method: Method = calibration
        self.calibration: Calibration | None = None
        self.pairs = None if pairs_file is None else read_pairs(Path(pairs_file))

    def fit(self, queries: EmbeddedSet) -> None:
        """Fit threshold and probability to a validation set; nothing changes where its pairs are of one kind."""
        counts = self._counts(queries)
        if counts.same.sum() > 0 and counts.different.sum() > 0:
            self.calibration = fit_calibration(counts, self.method, self.balanced)

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the figures of the set's pairs; a gallery isn't looked at."""
        counts = self._counts(queries)
        figures = {"roc_auc": roc_auc(counts), "equal_error_rate": equal_error_rate(counts)}
        for far in self.false_accept_rates:
            figures[f"tar_at_far_{far:g}".replace(".", "_")] = true_accept_rate(counts, far)
        if self.pairs is not None and self.pairs.folds is not None:
            found = fold_accuracy(self._listed(queries, self.pairs), self.pairs.same, self.pairs.folds)
            figures |= {"fold_accuracy": found.mean, "fold_accuracy_standard_error": found.standard_error}
        if self.calibration is not None:
            figures["verification_accuracy"] = accuracy(counts, self.calibration.threshold, self.balanced)
        return figures

    def _counts(self, samples: EmbeddedSet) -> PairCounts:
        if self.pairs is None:
            return count_all_pairs(samples.embeddings, samples.labels, self.distance, self.bins)
        return count_pairs(self._listed(samples, self.pairs), self.pairs.same)

    def _listed(self, samples: EmbeddedSet, pairs: PairList) -> Tensor:
        """(n,) distances of the listed pairs, whose samples are known by their indices."""
        place = {index: place for place, index in enumerate(samples.indices.tolist())}
        missing = sorted({index for index in (*pairs.first, *pairs.second) if index not in place})
        if missing:
            raise ValueError(
                f"the list of pairs names {len(missing)} samples that aren't in the set, {missing[0]} first"
            )
        first, second = (samples.embeddings[[place[i] for i in side]] for side in (pairs.first, pairs.second))
        return pair_distances(first, second, self.distance).cpu()

    def get_extra_state(self) -> dict[str, Any]:
        """Return what `fit` has found, as plain data."""
        return {} if self.calibration is None else {"calibration": describe(self.calibration)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `fit` had found."""
        self.calibration = calibration_from(state["calibration"]) if state else None

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # A checkpoint from before this metric was chosen is no broken one: nothing was fitted then.
        state_dict.setdefault(prefix + "_extra_state", {})
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

"""Verification metrics of an embedded set."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from metric_lightning.functional.class_bootstrap import JudgedPairs, class_intervals
from metric_lightning.functional.pair_distances import MOST_EXACT_PAIRS, count_all_pairs, pair_distances
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
from metric_lightning.metrics.judging import JudgingDistance, all_pairs, check_judging, learned, listed_distances
from metric_lightning.metrics.pair_list import PairList, places_by_path, read_pairs
from metric_lightning.parts import describe

_MOST_RESAMPLED = 4096


class VerificationMetrics(EmbeddingMetric):
    """How well a distance tells whether two samples are the same (have the same label, or share one).

    Figures, by the definitions of `functional.verification`: `roc_auc`, `equal_error_rate`, `tar_at_far_<far>` (the
    point written as an underscore); with a list of pairs in folds `fold_accuracy` and `fold_accuracy_standard_error`
    (as LFW reports them); and once a threshold is fitted `verification_accuracy`, its accuracy.

    `fit` chooses the threshold and the probability of being the same on validation data. They become part of the
    module's `state_dict`, and so of its checkpoint. On the very data that it was fitted to, the accuracy is flattering.

    - **Pairs**: all pairs of the set, each once, none of a sample with itself; or those of a file (see `read_pairs`),
      by index or by path, of one part of the data (`pairs_part`). On another part there are no figures, and `fit` goes
      by all pairs.
    - **Ties**: equal distances are accepted together; in the ROC-AUC a tie counts one half.
    - **One kind of pairs only**: all figures are nan, and `fit` fits nothing.

    Args:
        false_accept_rates: the FARs at which TAR is given.
        distance: "euclidean", "cosine", or "loss": the distance of the module's loss, a learned pair score say.
        bins: distances are counted in that many bins, in bounded memory; None for exact figures in O(pairs) memory.
            With `distance="loss"`, whose range isn't known, figures are exact whatever is given.
            See `functional.pair_distances.count_all_pairs` for what bins cost in precision.
        pairs_file: a list of pairs to judge instead of all, LFW's `pairs.txt` say. Always exact.
        pairs_part: the part that the list is of, "test" or "val".
        calibration: "platt" or "isotonic", how the probability is fitted.
        replicates: resample the classes so often, and give the ends of the 95% interval of every ROC-AUC, EER and TAR
            as `<figure>_low` and `<figure>_high` (see `functional.class_bootstrap`); 0: none. For all pairs of a set of
            at most 4,096 samples with one label each, a second for 500,000 pairs and 20 replicates.
        balanced: accuracy, threshold and probability weigh same and different pairs alike. Among all pairs of a set
            the different ones are so many that plain accuracy would be high for answering "different" always.

    Raises:
        ValueError: an argument outside its range, embeddings that aren't finite, or a list with samples that aren't in
        the set.

    Example:
        >>> line = EmbeddedSet(torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([0, 0, 1]), torch.arange(3))
        >>> metric = VerificationMetrics(false_accept_rates=(0.1,))
        >>> metric.fit(line)
        >>> metric.evaluate(line)
        {'roc_auc': 1.0, 'equal_error_rate': 0.0, 'tar_at_far_0_1': 1.0, 'verification_accuracy': 1.0}
        >>> metric.calibration.same(torch.tensor([0.9, 4.5])).tolist()
        [True, False]
    """

    uses_gallery = False

    def __init__(
        self,
        false_accept_rates: tuple[float, ...] = (0.1, 0.01, 0.001),
        distance: JudgingDistance = "euclidean",
        bins: int | None = 2**20,
        pairs_file: str | None = None,
        pairs_part: Literal["val", "test"] = "test",
        calibration: Method = "platt",
        balanced: bool = True,
        replicates: int = 0,
    ) -> None:
        super().__init__()
        if any(not 0 <= far <= 1 for far in false_accept_rates):
            raise ValueError(f"false_accept_rates={tuple(false_accept_rates)} must lie in [0, 1]")
        if bins is not None and bins < 1:
            raise ValueError(f"bins={bins} must be at least 1, or None")
        if calibration not in ("platt", "isotonic"):
            raise ValueError(f"calibration={calibration!r} must be 'platt' or 'isotonic'")
        if replicates < 0 or replicates == 1 or (replicates and pairs_file is not None):
            raise ValueError(
                f"replicates={replicates} must be 0 or at least 2, and 0 with a pairs_file, whose pairs have no classes"
            )
        if pairs_part not in ("val", "test"):
            raise ValueError(f"pairs_part={pairs_part!r} must be 'val' or 'test'")
        self.replicates = replicates
        self.false_accept_rates = tuple(false_accept_rates)
        self.distance = check_judging(distance)
        self.bins, self.balanced = bins, balanced
        self.method: Method = calibration
        self.calibration: Calibration | None = None
        self.pairs_file, self.pairs_part = pairs_file, pairs_part
        self.pairs = None if pairs_file is None else read_pairs(Path(pairs_file))

    def fit(self, queries: EmbeddedSet) -> None:
        """Fit threshold and probability to a validation set; nothing changes where its pairs are of one kind."""
        counts = self._counts(queries) if self._lists_this_part() else self._of_all(queries)
        if counts.same.sum() > 0 and counts.different.sum() > 0:
            self.calibration = fit_calibration(counts, self.method, self.balanced)

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the figures of the set's pairs; a gallery isn't looked at."""
        if not self._lists_this_part():
            return {}
        counts = self._counts(queries)
        figures = {name: figure(counts) for name, figure in self._judged_by().items()}
        if self.replicates:
            figures |= self._intervals(queries)
        if self.pairs is not None and self.pairs.folds is not None:
            found = fold_accuracy(self._listed(queries, self.pairs), self.pairs.same, self.pairs.folds)
            figures |= {"fold_accuracy": found.mean, "fold_accuracy_standard_error": found.standard_error}
        if self.calibration is not None:
            figures["verification_accuracy"] = accuracy(counts, self.calibration.threshold, self.balanced)
        return figures

    def _lists_this_part(self) -> bool:
        """Return whether the pairs to judge are of the set at hand: all of any, or a list of this very part."""
        return self.pairs is None or self._part[0] in (None, self.pairs_part)

    def _counts(self, samples: EmbeddedSet) -> PairCounts:
        if self.pairs is None:
            return self._of_all(samples)
        return count_pairs(self._listed(samples, self.pairs), self.pairs.same)

    def _of_all(self, samples: EmbeddedSet) -> PairCounts:
        if self.distance != "loss":
            return count_all_pairs(samples.embeddings, samples.labels, self.distance, self.bins)
        n_pairs = len(samples.labels) * (len(samples.labels) - 1) // 2
        if n_pairs > MOST_EXACT_PAIRS:
            raise ValueError(
                f"{len(samples.labels)} samples have {n_pairs} pairs, too many to judge by the loss's distance (at "
                f"most {MOST_EXACT_PAIRS}); give a pairs_file of this part (pairs_part), or fewer samples"
            )
        found = list(all_pairs(learned(*self._loss_distance), samples.embeddings, samples.labels))
        distances, same = (torch.cat(values) for values in zip(*found, strict=True)) if found else (torch.empty(0),) * 2
        return count_pairs(distances, same.bool())

    def _judged_by(self) -> dict[str, Callable[[PairCounts], float]]:
        named: dict[str, Callable[[PairCounts], float]] = {"roc_auc": roc_auc, "equal_error_rate": equal_error_rate}
        for far in self.false_accept_rates:
            named[f"tar_at_far_{far:g}".replace(".", "_")] = partial(true_accept_rate, far=far)
        return named

    def _intervals(self, samples: EmbeddedSet) -> dict[str, float]:
        if samples.labels.ndim != 1 or len(samples.labels) > _MOST_RESAMPLED:
            raise ValueError(
                f"replicates={self.replicates} resamples classes of at most {_MOST_RESAMPLED} samples with one label "
                f"each, got labels {tuple(samples.labels.shape)}; leave replicates out"
            )
        first, second = torch.triu_indices(len(samples.labels), len(samples.labels), 1)
        classes = torch.unique(samples.labels, return_inverse=True)[1]
        if self.distance == "loss":
            found = [part[0] for part in all_pairs(learned(*self._loss_distance), samples.embeddings, samples.labels)]
        else:
            rows = range(len(samples.labels) - 1)
            x = samples.embeddings
            found = [pair_distances(x[row].expand_as(x[row + 1 :]), x[row + 1 :], self.distance) for row in rows]
        distances = torch.cat(found) if found else torch.empty(0)
        pairs = JudgedPairs(distances, classes[first], classes[second])
        ends = class_intervals(pairs, self._judged_by(), self.replicates)
        return {f"{name}_{end}": getattr(ends[name], end) for name in ends for end in ("low", "high")}

    def distances(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the distances (n,) that this metric judges by, of embeddings first (n, D) to second (n, D)."""
        if self.distance == "loss":
            return listed_distances(learned(*self._loss_distance), first, second)
        return pair_distances(first, second, self.distance).cpu()

    def _listed(self, samples: EmbeddedSet, pairs: PairList) -> Tensor:
        """(n,) distances of the listed pairs."""
        names = list(dict.fromkeys((*pairs.first, *pairs.second)))
        if pairs.by_index:
            place = {str(index): place for place, index in enumerate(samples.indices.tolist())}
        else:
            _, path_of = self._part
            place = places_by_path(names, [] if path_of is None else [path_of(i) for i in samples.indices.tolist()])
        missing = [name for name in names if name not in place]
        if missing:
            raise ValueError(
                f"{self.pairs_file} names {len(missing)} samples that aren't in the set, {missing[0]} first; "
                "pairs_part says which part a list is of"
            )
        first, second = (samples.embeddings[[place[name] for name in side]] for side in (pairs.first, pairs.second))
        return self.distances(first, second)

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

"""The score of fixed one-shot trials, for any way of comparing pictures; see `one_shot_files` for the files."""

from collections.abc import Callable

import torch
from torch import Tensor

from metric_lightning.functional.few_shot import (
    Estimate,
    accuracy_of_scores,
    estimate,
    nearest_neighbour_scores,
)
from metric_lightning.one_shot_files import OneShotRun, load_trials

__all__ = ["OneShotRun", "load_trials", "score_trials", "trial_scores_of_embeddings"]


def trial_scores_of_embeddings(training: Tensor, test: Tensor) -> Tensor:
    """Return (T, W): minus the Euclidean distance of test (T, D) to training (W, D) embeddings."""
    return nearest_neighbour_scores(training[None, :, None], test[None])[0]


def score_trials(runs: list[OneShotRun], score: Callable[[Tensor, Tensor], Tensor]) -> Estimate:
    """Return the share of trials told right, and the half-width of its 95% interval over trials.

    A trial is right where the right class has the highest score; among several highest the expected value of a draw.

    Args:
        runs: from `load_trials`, perhaps with its pictures transformed.
        score: takes the training (W, ...) and the test pictures (T, ...) of a run and returns (T, W), larger is closer.
            For a network: `lambda training, test: trial_scores_of_embeddings(network(training), network(test))`.

    Raises:
        ValueError: there is no run, or scores of another shape.

    Example:
        >>> pictures = torch.tensor([0, 255, 90], dtype=torch.uint8).view(3, 1, 1, 1)
        >>> run = OneShotRun("run01", pictures[:2], pictures[2:], torch.tensor([0]))
        >>> score_trials([run], lambda a, b: trial_scores_of_embeddings(a.flatten(1), b.flatten(1))).mean
        1.0
    """
    if not runs:
        raise ValueError("runs=[] holds no trial")
    right = []
    for run in runs:
        scores = score(run.training, run.test)
        if scores.shape != (len(run.test), len(run.training)):
            raise ValueError(
                f"scores of {run.name} {tuple(scores.shape)} must be {(len(run.test), len(run.training))}, (T, W)"
            )
        right.append(accuracy_of_scores(scores.detach().cpu(), run.classes))
    return estimate(torch.cat(right))

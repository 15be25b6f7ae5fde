"""Cross-batch memory (Wang et al. 2020, Cross-batch memory for embedding learning).

N anchors, M columns of the batch, S columns remembered, D dimensions.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.precision import full_precision
from metric_lightning.losses.base import MetricLoss, check_batch, check_positive
from metric_lightning.miners.base import Miner
from metric_lightning.types import Pairs, Ratio, References


class CrossBatchMemory(MetricLoss):
    """The loss of the anchors against M + S columns: those of the batch, and embeddings remembered from past batches.

    Embeddings drift slowly, so past ones are cheap further negatives and positives; much is won with small batches. At
    the start they drift fast: the paper waits for 1,000 steps (`start_step`). A large memory grows stale under a high
    learning rate.

    The columns of the batch are compared as always, and pass gradients to both sides; the memory is constant. By
    default it is one loss, over M + S columns. The paper adds two, each averaged on its own: l(batch) + w l(memory),
    the memory the last S embeddings with those of the batch before them, as a constant: `memory_weight` is w.
    Remembered embeddings of a sample count as positives for it, an embedding never as one for itself.

    In training each step from `start_step` on ends by remembering the columns of the batch, the oldest give way; rows
    that are not finite, as of a step that overflowed in half precision, are left out. The columns are those of all
    ranks, so the memory is the same on each. In evaluation it is used and stays as it is. It
    is saved with the checkpoint, write position included. Memory takes S x (D + 1) x 4 bytes; the inner loss's
    `block_size` bounds the rest.

    Helps:
        When memory allows small batches only, or classes are so many that a batch holds few positives and
        negatives.

    Collapses:
        With remembered embeddings that have gone stale: a high learning rate, or a memory filled in the first
        steps.

    Args:
        loss: any loss over references; not one with class weights, nor with the `Angular` miner.
        size: S, the largest number remembered; of a larger batch the last S columns are.
        start_step: training steps before anything is remembered.
        memory_weight: None: one loss over all columns; w >= 0: the paper's two. As long as nothing is remembered it is
            the loss of the batch alone. Miners pick for each of the two.

    Raises:
        ValueError: columns with other dimensions, or other columns of labels, than those remembered; `pairs` given.

    Example:
        >>> from metric_lightning.losses import ContrastiveLoss
        >>> loss = CrossBatchMemory(ContrastiveLoss(margin=1.0), size=4)
        >>> loss(torch.tensor([[0.0]]), torch.tensor([0]))  # nothing to compare with yet
        tensor(0.)
        >>> loss(torch.tensor([[2.0]]), torch.tensor([0]))  # 0.5 * 2^2
        tensor(2.)
    """

    embeddings: Tensor
    labels: Tensor
    filled: Tensor
    position: Tensor
    step: Tensor

    def __init__(self, loss: MetricLoss, size: int, start_step: int = 0, memory_weight: float | None = None):
        super().__init__()
        if loss.learns_classes:
            name = type(loss).__name__
            raise ValueError(f"CrossBatchMemory: {name} compares with class weights, not with references")
        if not all(part.takes_references for part in loss.modules() if isinstance(part, Miner)):
            raise ValueError(
                "CrossBatchMemory: the loss's miner compares within the batch alone; leave out the memory, or take "
                "another miner"
            )
        if size < 1:
            raise ValueError(f"CrossBatchMemory: size must be at least 1, got {size}")
        if start_step < 0:
            raise ValueError(f"CrossBatchMemory: start_step must be at least 0, got {start_step}")
        if memory_weight is not None:
            check_positive(self, "memory_weight", memory_weight, zero=True)
        self.memory_weight = memory_weight
        self.loss = loss
        self.row_wise = loss.row_wise
        self.size = size
        self.start_step = start_step
        self.register_buffer("embeddings", torch.zeros(size, 0))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.int64))
        for name in ("filled", "position", "step"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Make room for embeddings of D dimensions, and build the inner loss."""
        self.loss.build(num_classes, embedding_dim)
        if self.embeddings.shape[1] != embedding_dim:
            self._forget(self.embeddings.new_zeros(self.size, embedding_dim), self.labels)

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of the inner loss, see `MetricLoss.terms`; `pairs` can't be given."""
        if pairs is not None:
            raise ValueError("CrossBatchMemory: pairs can't be given, they say nothing about remembered columns")
        if references is None:
            references = References(embeddings, labels, torch.arange(len(embeddings), device=embeddings.device))
        check_batch(embeddings, labels, references)
        filled = int(self.filled)
        if not filled:
            terms = self.loss.terms(embeddings, labels, references)
        elif self.memory_weight is None:
            terms = self.loss.terms(embeddings, labels, self._with_memory(references, filled))
        else:
            batch = self.loss.terms(embeddings, labels, references)
            constant = references._replace(embeddings=references.embeddings.detach())
            memory = self.loss.terms(embeddings, labels, self._with_memory(constant, filled))
            terms = {f"batch.{name}": part for name, part in batch.items()}
            for name, part in memory.items():
                terms[f"memory.{name}"] = Ratio(part.total * self.memory_weight, part.count)
        if self.training:
            self._remember(references, filled)
        return terms

    def _with_memory(self, references: References, filled: int) -> References:
        """Return the columns followed by those remembered."""
        self._check_fit(references)
        embeddings = torch.cat([full_precision(references.embeddings), self.embeddings[:filled]])
        labels = torch.cat([references.labels, self.labels[:filled]])
        return references._replace(embeddings=embeddings, labels=labels)

    def _check_fit(self, references: References) -> None:
        """Raise ValueError where columns can't stand beside those remembered, in one sentence."""
        for name, new, old in (
            ("embeddings", references.embeddings, self.embeddings),
            ("labels", references.labels, self.labels),
        ):
            if new.shape[1:] != old.shape[1:]:
                raise ValueError(
                    f"CrossBatchMemory: {name} have shape {tuple(new.shape)}, those remembered {tuple(old.shape)}; a "
                    "memory serves one network and one data set, make another"
                )

    @torch.no_grad()
    def _remember(self, references: References, filled: int) -> None:
        self.step += 1
        if int(self.step) <= self.start_step:
            return
        rows = full_precision(references.embeddings)
        # What isn't finite would spoil every later step; a step that overflowed, and a GradScaler skips, has such rows.
        kept = rows.isfinite().all(dim=1).nonzero()[-self.size :, 0]
        rows, labels = rows[kept], _exact(references.labels)[kept]
        if not filled:
            # The first batch tells what is not known before: the dimensions of embeddings and of labels.
            self._forget(rows.new_zeros(self.size, rows.shape[1]), labels.new_zeros(self.size, *labels.shape[1:]))
        place = (self.position + torch.arange(len(rows), device=rows.device)) % self.size
        self.embeddings[place] = rows.to(self.embeddings.dtype)
        self.labels[place] = labels.to(self.labels.dtype)
        self.position.add_(len(rows)).remainder_(self.size)
        self.filled.add_(len(rows)).clamp_(max=self.size)

    def _forget(self, embeddings: Tensor, labels: Tensor) -> None:
        self.embeddings, self.labels = embeddings, labels
        self.filled.zero_()
        self.position.zero_()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        # What the first batch tells, the saved memory tells as well. Another size or embedding_dim stays an error.
        embeddings, labels = state_dict.get(f"{prefix}embeddings"), state_dict.get(f"{prefix}labels")
        if embeddings is not None and 0 in (self.embeddings.shape[1], embeddings.shape[1]):
            self.embeddings = self.embeddings.new_zeros(self.size, embeddings.shape[1], dtype=embeddings.dtype)
        if labels is not None:
            self.labels = self.labels.new_zeros(self.size, *labels.shape[1:], dtype=_exact(labels).dtype)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _exact(labels: Tensor) -> Tensor:
    """Return labels as int64, which holds those of every later batch too; what is no whole number stays as it is."""
    return labels if labels.is_floating_point() else labels.to(torch.int64)

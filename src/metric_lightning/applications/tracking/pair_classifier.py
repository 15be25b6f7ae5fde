"""The stacked-pair classifier: two crops go into the network as one input, one number says whether they show the same.

n pairs of crops with C channels of height H and width W.
"""

from typing import Any, Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from metric_lightning.data.randomness import generator
from metric_lightning.errors import UserError
from metric_lightning.functional.verification import count_pairs, equal_error_rate, roc_auc, true_accept_rate
from metric_lightning.losses.base import MetricLoss
from metric_lightning.metrics import EmbeddedSet
from metric_lightning.modules import MetricModule
from metric_lightning.modules.ranks import loss_over_ranks
from metric_lightning.networks import EmbeddingNetwork
from metric_lightning.types import InputShape, Pairs, Ratio, References

_BLOCK = 512


class PairCrossEntropy(MetricLoss):
    """Binary cross-entropy of pairs: an "anchor" is a pair, its embedding (n, 1) the logit, its label same or not.

        loss = mean over pairs of  log(1 + exp(-s z))    s = 1 of a same pair, -1 of a different one

    Row-wise, so that many ranks have the gradients of one process.

    Example:
        >>> PairCrossEntropy()(torch.zeros(2, 1), torch.tensor([0, 1])).item()
        0.693147...
    """

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        if embeddings.ndim != 2 or embeddings.shape[1] != 1:
            raise ValueError(f"PairCrossEntropy takes one logit for each pair, (n, 1), got {tuple(embeddings.shape)}")
        logits = embeddings[:, 0].float()
        total = binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="sum")
        return {"cross_entropy": Ratio(total, logits.new_tensor(float(len(logits))))}


class StackedPairModule(MetricModule):
    """Trains a network that sees both crops of a pair at once, stacked along the channels: (n, 2 C, H, W) to a logit.

    Filters of the first layer compare the two crops pixel by pixel, which no siamese embedding can; the price is a pass
    of the network for every pair. In the paper optical flow is stacked too, and its network is larger.

    Training batches are those of `PairBatches`. Validation and test score the pairs of the part, and log `roc_auc`,
    `equal_error_rate` and `tar_at_far_0_01`; let the checkpoint follow "val/roc_auc". It gives no embeddings:
    callbacks that show those are to be left out (`default_callbacks: false`).

    Args:
        network: any `EmbeddingNetwork` with `embedding_dim: 1`; it is sized for 2 C channels.
        optimizer: parameters -> optimizer; None: Adam, learning rate 1e-3.
        scheduler: optimizer -> learning rate schedule; None: constant.
        scheduler_interval: whether the schedule moves on every "epoch" or every "step".
        evaluation_pairs: how many pairs of a part are scored, drawn once; all where there are fewer.
        num_classes: not used; every module has it.
        input_shape: shape of one crop, (C, H, W); None: from the data.

    Raises:
        ValueError: the network has more than one output.

    References:
        L. Leal-Taixe, C. Canton-Ferrer, K. Schindler: Learning by tracking: Siamese CNN for robust target association
        (CVPR workshops 2016), https://arxiv.org/abs/1604.07866

    Example:
        >>> from metric_lightning.networks import Conv4
        >>> module = StackedPairModule(Conv4(embedding_dim=1, channels=4), input_shape=(3, 32, 16))
        >>> module.scores(torch.zeros(5, 3, 32, 16), torch.zeros(5, 3, 32, 16)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        evaluation_pairs: int = 10000,
        num_classes: int | None = None,
        input_shape: tuple[int, ...] | None = None,
    ):
        if network.embedding_dim != 1:
            raise ValueError(f"a pair classifier has one output: give embedding_dim=1, got {network.embedding_dim}")
        if evaluation_pairs < 1:
            raise ValueError(f"evaluation_pairs must be at least 1, got {evaluation_pairs}")
        super().__init__(
            network,
            PairCrossEntropy(),
            optimizer,
            scheduler,
            scheduler_interval,
            metrics=[],
            num_classes=num_classes,
            input_shape=input_shape,
        )
        self.evaluation_pairs = evaluation_pairs

    def build(self, num_classes: int | None, input_shape: InputShape | None) -> None:
        """Size the network for two crops, one behind the other.

        Raises:
            UserError: an input is not one crop.
        """
        if input_shape is None:
            super().build(num_classes, None)
            return
        sizes = [size for size in input_shape if isinstance(size, int)]
        if len(sizes) != 3 or len(input_shape) != 3:
            raise UserError(f"pairs of crops (channels, height, width) are stacked, but an input is {input_shape}")
        super().build(num_classes, (2 * sizes[0], *sizes[1:]))
        self.hparams["input_shape"] = sizes

    def batch_loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the pairs' logits (n, 1), see `MetricModule.batch_loss`."""
        return loss_over_ranks(self.loss, embeddings, labels)

    def batch_figures(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return nothing: logits have no distances."""
        return {}

    def unpack(self, batch: Any) -> tuple[Any, Tensor]:
        """Return stacked pairs (n, 2 C, H, W) and whether they are the same (n,), of a flat batch of pairs."""
        inputs, labels = batch[0].unflatten(0, (-1, 2)), batch[1].unflatten(0, (-1, 2))
        return inputs.flatten(1, 2), (labels[:, 0] == labels[:, 1]).long()

    @torch.no_grad()
    def scores(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the logit of each pair (n,): the mean of both orders, so that a pair has one score.

        Args:
            first: (n, C, H, W).
            second: (n, C, H, W).
        """
        if not len(first):
            return torch.zeros(0)
        found = []
        for one, other in zip(first.split(_BLOCK), second.split(_BLOCK), strict=True):
            both = torch.cat([torch.cat([one, other], 1), torch.cat([other, one], 1)])
            found.append(self(both.to(self.device)).float().cpu()[:, 0].unflatten(0, (2, -1)).mean(0))
        return torch.cat(found)

    # Evaluation: the crops of a part are kept as they are, and pairs of them scored at its end.

    def _collect(self, batch: Any) -> None:
        self._shape = tuple(batch[0].shape[1:])
        self._collector.add(batch[0].flatten(1), batch[1], batch[2] if len(batch) > 2 else None)

    def _evaluate(self, stage: str) -> None:
        crops = self._collector.finish()
        if self.trainer.sanity_checking or len(crops.labels) < 2:
            return
        first, second = drawn_pairs(len(crops.labels), self.evaluation_pairs)
        images = crops.embeddings.unflatten(1, self._shape)
        logits = self.scores(images[first], images[second])
        counts = count_pairs(-logits, crops.labels[first] == crops.labels[second])
        figures = {
            "roc_auc": roc_auc(counts),
            "equal_error_rate": equal_error_rate(counts),
            "tar_at_far_0_01": true_accept_rate(counts, 0.01),
        }
        self.log_dict({f"{stage}/{name}": value for name, value in figures.items()}, rank_zero_only=True)

    def predict_step(self, batch: Any, batch_idx: int) -> EmbeddedSet:
        """Refuse.

        Raises:
            UserError: always.
        """
        raise UserError("a pair classifier scores pairs and gives no embeddings; use StackedPairModule.scores")


def drawn_pairs(samples: int, pairs: int) -> tuple[Tensor, Tensor]:
    """Return two index vectors: all pairs i < j of so many samples, or an even draw of them, always the same.

    Example:
        >>> drawn_pairs(3, 10)
        (tensor([0, 0, 1]), tensor([1, 2, 2]))
    """
    first, second = torch.triu_indices(samples, samples, offset=1)
    if len(first) > pairs:
        kept = torch.from_numpy(generator(0).permutation(len(first))[:pairs])
        first, second = first[kept], second[kept]
    return first, second

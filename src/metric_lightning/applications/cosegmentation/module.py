"""The module that trains a co-segmentation network, and its loss."""

from typing import Any, Literal

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from metric_lightning.applications.cosegmentation.masks import mask_figures
from metric_lightning.applications.cosegmentation.network import CosegmentationNet
from metric_lightning.applications.cosegmentation.places import PlaceLoss
from metric_lightning.errors import UserError
from metric_lightning.losses.base import MetricLoss
from metric_lightning.modules import MetricModule
from metric_lightning.modules.ranks import loss_over_ranks
from metric_lightning.types import Pairs, Ratio, References


class TwoMaskCrossEntropy(MetricLoss):
    """The sum of two pixel-wise binary cross-entropies, one for each mask of a pair.

        loss = mean over pairs of  H(mask_A, A) + H(mask_B, B)        H: mean over pixels

    An "anchor" is a pair, its embedding (n, 2 h w) the logits, its label (n, 2 h w) the two masks, so that many ranks
    have the gradients of one process.

    Example:
        >>> import torch
        >>> TwoMaskCrossEntropy()(torch.zeros(3, 8), torch.ones(3, 8)).item()
        1.38629...
    """

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        if embeddings.shape != labels.shape or embeddings.ndim != 2 or embeddings.shape[1] % 2:
            raise ValueError(
                f"logits and masks must both be (n, 2 h w), got {tuple(embeddings.shape)} and {tuple(labels.shape)}"
            )
        logits = embeddings.float()
        entropy = binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="none")
        # Two means over half the pixels each are twice the mean over all.
        total = 2 * entropy.mean(1).sum()
        return {"cross_entropy": Ratio(total, total.new_tensor(float(len(logits))))}


class CosegmentationModule(MetricModule):
    """Trains a network to find, in two pictures, the objects of the class that both show.

    A batch's inputs are `MaskedPairs`. Validation and test log `jaccard` and `precision`, means over all masks, for
    logits above 0; let the checkpoint follow "val/jaccard". It gives no embeddings: callbacks that show those are to be
    left out (`default_callbacks: false`).

    Args:
        network: two pictures to the logits of two masks.
        optimizer: parameters -> optimizer; None: Adam, learning rate 1e-3.
        scheduler: optimizer -> learning rate schedule; None: constant.
        scheduler_interval: whether the schedule moves on every "epoch" or every "step".
        places: a further loss on the encoder's features, from the kinds in `MaskedPairs`; None: none.
        channels_last: keep weights and maps in memory with their channels last, which most processors are faster with.
        num_classes: not used; every module has it.
        input_shape: (2, 3, height, width) of one pair; None: from the data.

    Example:
        >>> import torch
        >>> module = CosegmentationModule(CosegmentationNet(), input_shape=(2, 3, 32, 32))
        >>> module.masks(torch.zeros(4, 2, 3, 32, 32)).shape
        torch.Size([4, 2, 32, 32])
    """

    network: CosegmentationNet

    def __init__(
        self,
        network: CosegmentationNet,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        places: PlaceLoss | None = None,
        channels_last: bool = False,
        num_classes: int | None = None,
        input_shape: tuple[int, ...] | None = None,
    ):
        super().__init__(
            network,
            TwoMaskCrossEntropy(),
            optimizer,
            scheduler,
            scheduler_interval,
            metrics=[],
            channels_last=channels_last,
            num_classes=num_classes,
            input_shape=input_shape,
        )
        self.places = places
        if places is not None:
            places.build(network.encoder.channels)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of the masks and, where there is one, of the places of the same feature maps."""
        images, masks = self.unpack(batch)
        features = self.network.features(images)
        differentiated, value = self.batch_loss(self.network.compared(features), masks)
        figures = {"loss": value}
        if self.places is not None:
            of_places, figures["place_loss"] = self.places(features.flatten(0, 1), batch[0].kinds.flatten(0, 1))
            differentiated = differentiated + of_places
        if self._logs_this_step():
            self.log_dict({f"train/{name}": one for name, one in figures.items()}, prog_bar=True, batch_size=len(masks))
        return differentiated

    def unpack(self, batch: Any) -> tuple[Any, Tensor]:
        """Return pictures (n, 2, 3, h, w) and masks (n, 2 h w)."""
        return batch[0].images, batch[0].masks.flatten(1)

    def batch_loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the logits, see `MetricModule.batch_loss`."""
        return loss_over_ranks(self.loss, embeddings, labels)

    def masks(self, images: Tensor) -> Tensor:
        """Return the predicted masks (n, 2, h, w), bool, of pairs of pictures (n, 2, 3, h, w)."""
        return (self(images) > 0).unflatten(1, (2, *images.shape[-2:]))

    def _collect(self, batch: Any) -> None:
        found = mask_figures(self.masks(batch[0].images).flatten(0, 1), batch[0].masks.flatten(0, 1))
        # One row a pair: the figures of its two masks.
        self._collector.add(found.jaccard.unflatten(0, (-1, 2)), found.precision.unflatten(0, (-1, 2)), batch[2])

    def _evaluate(self, stage: str) -> None:
        found = self._collector.finish()
        if self.trainer.sanity_checking:
            return
        figures = {"jaccard": found.embeddings.mean(), "precision": found.labels.mean()}
        self.log_dict({f"{stage}/{name}": float(value) for name, value in figures.items()}, rank_zero_only=True)

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        """Refuse.

        Raises:
            UserError: always.
        """
        raise UserError("a co-segmentation network gives masks and no embeddings; use CosegmentationModule.masks")

"""What all modules share: one network, one loss, an optimizer, and an evaluation that is the same for every method."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.model_helpers import _restricted_classmethod
from torch import Tensor, nn
from typing_extensions import Self

from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.distances import Distance
from metric_lightning.losses.base import MetricLoss
from metric_lightning.metrics import EmbeddedSet, EmbeddingMetric, KNNAccuracy, RetrievalMetrics
from metric_lightning.modules.chunks import embed_in_chunks
from metric_lightning.modules.collect import Collector
from metric_lightning.modules.data_record import KEY as DATA_RECORD
from metric_lightning.modules.data_record import data_record
from metric_lightning.modules.evaluation import embed, evaluated_set, figures_of, gallery_loader, with_groups
from metric_lightning.modules.gather import lost_ranks_told_apart
from metric_lightning.modules.hyperparameters import described_arguments, given_by_cli
from metric_lightning.modules.model_parallel import spread
from metric_lightning.modules.optimization import Optimization
from metric_lightning.modules.random_state import RandomState, random_states_of_ranks, restore_random_state
from metric_lightning.modules.shards import (
    clip_by_whole_norm,
    is_shared_out,
    not_averaged,
    put_together,
    share_out,
    take_share,
)
from metric_lightning.modules.shipping_record import KEY as SHIPPING_RECORD
from metric_lightning.modules.shipping_record import shipping_record
from metric_lightning.modules.sizes import as_lists, embedding_dim_of
from metric_lightning.modules.statistics import batch_statistics
from metric_lightning.networks.base import EmbeddingNetwork
from metric_lightning.networks.pretraining import skip_pretrained_weights
from metric_lightning.parts import Part
from metric_lightning.relevance import Relevance
from metric_lightning.types import InputShape

_RANDOM_STATES = "metric_lightning_random_states"


class MetricModule(Part, LightningModule, ABC):
    """A network trained by a loss on its embeddings. A subclass says how a batch makes the loss.

    Sizes come from the data: `input_shape` and `num_classes` are given by the command line, or read from the Trainer's
    data module, and handed to the network's and the loss's `build`.

    Validation and test data are embedded once; every metric reads the same embeddings, kept in `evaluated["val"]` or
    `evaluated["test"]` (whole, on every rank). During `fit` the metrics get no gallery; in `validate` and `test`
    the gallery is the training set.

    Args:
        network: maps inputs (n, ...) to embeddings (n, D); an `EmbeddingNetwork`, or any `nn.Module`.
        loss: any `MetricLoss`.
        optimizer: parameters -> optimizer; None: Adam, learning rate 1e-3.
        scheduler: optimizer -> learning rate schedule; None: constant.
        scheduler_interval: whether the schedule moves on every "epoch" or every "step".
        loss_lr_scale: learning rate of the loss's own parameters (proxies, class weights) in units of the network's.
        metrics: what to evaluate; None: `RetrievalMetrics()` and `KNNAccuracy()`.
        embed_chunk_size: the network takes a training batch in chunks of so many inputs and computes activations again
            in the backward pass (see `modules.chunks`); None: the whole batch at once.
        compile_network: train the network compiled by `torch.compile`; the weights' names stay as they are.
        channels_last: keep images and weights in memory with their channels last, which some devices are faster with.
        num_classes: number of training classes, for losses with class weights; None: from the data.
        input_shape: shape of one input, for networks that are sized late; None: from the data.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: MetricLoss,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        loss_lr_scale: float = 1.0,
        metrics: list[EmbeddingMetric] | None = None,
        embed_chunk_size: int | None = None,
        compile_network: bool = False,
        channels_last: bool = False,
        num_classes: int | None = None,
        input_shape: InputShape | None = None,
    ):
        super().__init__()
        if scheduler_interval not in ("epoch", "step"):
            raise ValueError(f"scheduler_interval must be 'epoch' or 'step', got {scheduler_interval!r}")
        if embed_chunk_size is not None and embed_chunk_size < 1:
            raise ValueError(f"embed_chunk_size must be at least 1 or None, got {embed_chunk_size}")
        if given_by_cli():
            self.save_hyperparameters()
        else:
            self.save_hyperparameters(described_arguments(self))
        self.network = network
        self.head = self.make_head()
        self.loss = loss
        self.metrics = nn.ModuleList(self.default_metrics() if metrics is None else metrics)
        judging = next((part for part in loss.modules() if isinstance(part, Distance)), None)
        for metric in self.metrics:
            metric.take_distance(judging)  # type: ignore[operator]
        self.evaluated: dict[str, EmbeddedSet] = {}
        self._optimization = Optimization(optimizer, scheduler, scheduler_interval, loss_lr_scale)
        self.validated_step: int | None = None  # when the validation set was evaluated last
        self._embed_chunk_size = embed_chunk_size
        self._compile_network = compile_network
        self._channels_last = channels_last
        self._collector = Collector()
        self._random_states: list[RandomState] = []
        self._built = False
        if num_classes is not None or input_shape is not None:
            self.build(num_classes, input_shape)

    # What a subclass or another project overrides.

    @abstractmethod
    def batch_loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return what this rank differentiates, and the loss of the whole batch for the log.

        Args:
            embeddings: (n, D), of all inputs of the batch.
            labels: (n,).
        """

    def batch_figures(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return what else is logged of a training batch; modules whose outputs are no embeddings override it."""
        return batch_statistics(self.loss, embeddings, labels)

    def unpack(self, batch: Any) -> tuple[Any, Tensor]:
        """Return inputs (n, ...) and labels (n,) of a batch; override it for batches of another form."""
        return batch[0], batch[1]

    def forward(self, inputs: Any) -> Tensor:
        """Return the embeddings (n, D) of inputs (n, ...)."""
        if self._channels_last and isinstance(inputs, Tensor) and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        embeddings: Tensor = self.head(self.network(inputs))
        return embeddings

    def make_head(self) -> nn.Module:
        """Return what comes behind the network; called once, at the end of construction."""
        return nn.Identity()

    def default_metrics(self) -> list[EmbeddingMetric]:
        """Return what is evaluated unless metrics are given; called once, by the constructor."""
        return [RetrievalMetrics(), KNNAccuracy()]

    # Sizes.

    def build(self, num_classes: int | None, input_shape: InputShape | None) -> None:
        """Make the parts of network and loss whose sizes come from the data; a second call changes nothing."""
        if self._built:
            return
        if input_shape is not None and isinstance(self.network, EmbeddingNetwork):
            self.network.build(input_shape)
        self.loss.build(num_classes, self._embedding_dim(input_shape))
        if num_classes is not None:
            self.hparams["num_classes"] = int(num_classes)
        if input_shape is not None:
            self.hparams["input_shape"] = as_lists(input_shape)
        self._built = True

    def configure_model(self) -> None:
        """Build from the Trainer's data module what is not built yet."""
        data = getattr(self._trainer, "datamodule", None)  # no trainer while a checkpoint is loaded
        self.build(getattr(data, "num_classes", None), getattr(data, "input_shape", None))
        class_labels = getattr(data, "class_labels", None)
        for part in self.modules():  # of the loss and of metrics
            if class_labels is not None and isinstance(part, Relevance):
                part.take_class_labels(class_labels)
        if self._channels_last:
            self.network.to(memory_format=torch.channels_last)
        if self._trainer is None:
            return
        if self._compile_network and self.trainer.state.fn == TrainerFn.FITTING:
            self.network.compile()  # in place, so that the state dict keeps its names
        if self.device_mesh is not None:
            spread(self, self.loss, self.device_mesh)
        else:
            share_out(self, self.loss)
            # The name is DDP's.
            self._ddp_params_and_buffers_to_ignore = [f"loss.{name}" for name in not_averaged(self.loss)]

    def _embedding_dim(self, input_shape: InputShape | None) -> int:
        return embedding_dim_of(self.network, input_shape)

    # Training.

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Embed the batch in one call of the network and return its loss."""
        inputs, labels = self.unpack(batch)
        if self._embed_chunk_size is None:
            embeddings = self(inputs)
        else:
            embeddings = embed_in_chunks(self, inputs, self._embed_chunk_size, self.network)
        differentiated, value = self.batch_loss(embeddings, labels)
        if self._logs_this_step():
            self.log("train/loss", value, prog_bar=True, batch_size=len(labels))
            found = self.batch_figures(embeddings, labels)
            self.log_dict({f"train/{name}": figure for name, figure in found.items()}, batch_size=len(labels))
        return differentiated

    def _logs_this_step(self) -> bool:
        # A call of `log` costs about half a millisecond: scalars are logged only where the logger would write them.
        return (self.global_step + 1) % max(1, self.trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]

    def configure_optimizers(self) -> Any:
        """Return the optimizer and, where there is one, its schedule."""
        return self._optimization.of(self, self.network, self.loss)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Compute gradients; DDP averages them over ranks meanwhile, and says in gloo's words that a rank is gone."""
        with lost_ranks_told_apart():
            super().backward(loss, *args, **kwargs)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients, where class weights are shared out over ranks by the norm of the whole."""
        if gradient_clip_val and is_shared_out(self.loss) and gradient_clip_algorithm in (None, "norm"):
            clip_by_whole_norm(self.loss, optimizer, gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    # Checkpoints: enough by themselves, and dropout goes on where it was.

    @_restricted_classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **arguments: Any,
    ) -> Self:
        """Return the module that a checkpoint holds; pretrained weights are neither downloaded nor read for it.

        Arguments are those of `LightningModule.load_from_checkpoint`.
        """
        with skip_pretrained_weights():
            return super().load_from_checkpoint(
                checkpoint_path, map_location, hparams_file, strict, weights_only, **arguments
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what ranks have of their own: where random streams stand, class weights shared out."""
        checkpoint[_RANDOM_STATES] = random_states_of_ranks()
        checkpoint[SHIPPING_RECORD] = shipping_record(self)
        data = getattr(self._trainer, "datamodule", None)
        if isinstance(data, MetricDataModule):
            checkpoint[DATA_RECORD] = data_record(data)
        put_together(self, self.loss, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note where they stood, for a run that goes on."""
        take_share(self.loss, checkpoint)
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            self._random_states = checkpoint.get(_RANDOM_STATES, [])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Put them there at the last moment: what comes between loading and training draws, too."""
        if self.global_rank < len(self._random_states):
            restore_random_state(self._random_states[self.global_rank])
        self._random_states = []

    # Evaluation: embed once, evaluate everything.

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Embed a validation batch."""
        self._collect(batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Embed a test batch."""
        self._collect(batch)

    def predict_step(self, batch: Any, batch_idx: int) -> EmbeddedSet:
        """Return the embedded batch."""
        inputs, labels = self.unpack(batch)
        return EmbeddedSet(self(inputs).float().cpu(), labels.cpu(), batch[2].cpu())

    def on_validation_epoch_end(self) -> None:
        """Evaluate the validation set."""
        self._evaluate("val")

    def on_test_epoch_end(self) -> None:
        """Evaluate the test set."""
        self._evaluate("test")

    def _collect(self, batch: Any) -> None:
        inputs, labels = self.unpack(batch)
        self._collector.add(self(inputs), labels, batch[2] if len(batch) > 2 else None)

    def _evaluate(self, stage: str) -> None:
        dataset = evaluated_set(self.trainer, stage)
        queries = with_groups(self._collector.finish(), dataset)
        if self.trainer.sanity_checking:
            return
        self.evaluated[stage] = queries
        if stage == "val":
            self.validated_step = self.global_step
        figures = figures_of(self.metrics, queries, self._gallery(), dataset, stage)  # type: ignore[arg-type]
        # Every rank has the whole set, and so the same figures: nothing is to be reduced.
        self.log_dict({f"{stage}/{name}": value for name, value in figures.items()}, rank_zero_only=True)

    def _gallery(self) -> EmbeddedSet | None:
        if not any(metric.uses_gallery for metric in self.metrics):
            return None
        loader = gallery_loader(self.trainer)
        return None if loader is None else with_groups(self.embed(loader), getattr(loader, "dataset", None))

    def embed(self, loader: Any, gather: bool = True, of: Callable[[Tensor], Tensor] | None = None) -> EmbeddedSet:
        """Return the embeddings of all samples of a loader, float32 on the CPU, in the order of their indices.

        Args:
            loader: gives batches of (inputs, labels, indices).
            gather: bring the samples of all ranks together; all ranks must call then.
            of: what makes vectors (n, D) of inputs; None: the module itself. A backbone's `features`, say.
        """
        return embed(self, loader, self.unpack, self if of is None else of, gather)

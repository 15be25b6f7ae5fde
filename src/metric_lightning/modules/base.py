"""What all modules share: one network, one loss, an optimizer, and an evaluation that is the same for every method."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor, nn

from metric_lightning.losses.base import MetricLoss
from metric_lightning.metrics import EmbeddedSet, EmbeddingMetric, KNNAccuracy, RetrievalMetrics
from metric_lightning.modules.chunks import embed_in_chunks
from metric_lightning.modules.collect import Collector
from metric_lightning.modules.hyperparameters import described_arguments, given_by_cli
from metric_lightning.modules.random_state import RandomState, random_states_of_ranks, restore_random_state
from metric_lightning.modules.shards import not_averaged, put_together, share_out, take_share
from metric_lightning.modules.statistics import batch_statistics
from metric_lightning.networks.base import EmbeddingNetwork
from metric_lightning.parts import Part

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
        num_classes: int | None = None,
        input_shape: tuple[int, ...] | None = None,
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
        self.metrics = nn.ModuleList([RetrievalMetrics(), KNNAccuracy()] if metrics is None else metrics)
        self.evaluated: dict[str, EmbeddedSet] = {}
        self._make_optimizer: OptimizerCallable = optimizer or _adam
        self._make_scheduler = scheduler
        self._scheduler_interval = scheduler_interval
        self._loss_lr_scale = loss_lr_scale
        self._embed_chunk_size = embed_chunk_size
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

    def unpack(self, batch: Any) -> tuple[Any, Tensor]:
        """Return inputs (n, ...) and labels (n,) of a batch; override it for batches of another form."""
        return batch[0], batch[1]

    def forward(self, inputs: Any) -> Tensor:
        """Return the embeddings (n, D) of inputs (n, ...)."""
        embeddings: Tensor = self.head(self.network(inputs))
        return embeddings

    def make_head(self) -> nn.Module:
        """Return what comes behind the network; called once, at the end of construction."""
        return nn.Identity()

    # Sizes.

    def build(self, num_classes: int | None, input_shape: tuple[int, ...] | None) -> None:
        """Make the parts of network and loss whose sizes come from the data; a second call changes nothing."""
        if self._built:
            return
        if input_shape is not None and isinstance(self.network, EmbeddingNetwork):
            self.network.build(input_shape)
        self.loss.build(num_classes, self._embedding_dim(input_shape))
        if num_classes is not None:
            self.hparams["num_classes"] = int(num_classes)
        if input_shape is not None:
            self.hparams["input_shape"] = [int(size) for size in input_shape]
        self._built = True

    def configure_model(self) -> None:
        """Build from the Trainer's data module what is not built yet."""
        data = getattr(self._trainer, "datamodule", None)  # no trainer while a checkpoint is loaded
        self.build(getattr(data, "num_classes", None), getattr(data, "input_shape", None))
        if self._trainer is not None:
            share_out(self, self.loss)
            # The name is DDP's.
            self._ddp_params_and_buffers_to_ignore = [f"loss.{name}" for name in not_averaged(self.loss)]

    def _embedding_dim(self, input_shape: tuple[int, ...] | None) -> int:
        known = getattr(self.network, "embedding_dim", None)
        if known is not None:
            return int(known)
        if input_shape is None:
            raise ValueError(
                f"{type(self.network).__name__} has no attribute embedding_dim and input_shape is not known: give one"
            )
        training = self.network.training
        self.network.eval()
        with torch.no_grad():
            dim = self.network(torch.zeros(1, *input_shape)).shape[1]
        self.network.train(training)
        return int(dim)

    # Training.

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Embed the batch in one call of the network and return its loss."""
        inputs, labels = self.unpack(batch)
        if self._embed_chunk_size is None:
            embeddings = self(inputs)
        else:
            embeddings = embed_in_chunks(self, inputs, self._embed_chunk_size)
        differentiated, value = self.batch_loss(embeddings, labels)
        if self._logs_this_step():
            self.log("train/loss", value, prog_bar=True, batch_size=len(labels))
            found = batch_statistics(self.loss, embeddings, labels)
            self.log_dict({f"train/{name}": figure for name, figure in found.items()}, batch_size=len(labels))
        return differentiated

    def _logs_this_step(self) -> bool:
        # A call of `log` costs about half a millisecond: scalars are logged only where the logger would write them.
        return (self.global_step + 1) % max(1, self.trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]

    def configure_optimizers(self) -> Any:
        """Return the optimizer and, where there is one, its schedule."""
        own = [parameter for parameter in self.loss.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [{"params": [p for p in self.network.parameters() if p.requires_grad]}]
        listed = {id(parameter) for parameter in [*groups[0]["params"], *own]}
        groups[0]["params"] += [p for p in self.parameters() if p.requires_grad and id(p) not in listed]
        if own:
            groups.append({"params": own})
        optimizer = self._make_optimizer(groups)
        if own:
            optimizer.param_groups[1]["lr"] *= self._loss_lr_scale
        if self._make_scheduler is None:
            return optimizer
        schedule = {"scheduler": self._make_scheduler(optimizer), "interval": self._scheduler_interval}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    # Resuming: dropout goes on where it was.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what ranks have of their own: where random streams stand, class weights shared out."""
        checkpoint[_RANDOM_STATES] = random_states_of_ranks()
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
        queries = self._collector.finish()
        if self.trainer.sanity_checking:
            return
        self.evaluated[stage] = queries
        figures: dict[str, float] = {}
        gallery = self._gallery()
        for metric in self.metrics:
            if stage == "val":
                metric.fit(queries)  # type: ignore[operator]
            figures |= metric.evaluate(queries, gallery)  # type: ignore[operator]
        # Every rank has the whole set, and so the same figures: nothing is to be reduced.
        self.log_dict({f"{stage}/{name}": value for name, value in figures.items()}, rank_zero_only=True)

    def _gallery(self) -> EmbeddedSet | None:
        loader = getattr(getattr(self.trainer, "datamodule", None), "gallery_dataloader", None)
        if loader is None or self.trainer.state.fn == TrainerFn.FITTING:
            return None
        return self.embed(loader())

    @torch.no_grad()
    def embed(self, loader: Any, gather: bool = True) -> EmbeddedSet:
        """Return the embeddings of all samples of a loader, float32 on the CPU, in the order of their indices.

        Args:
            loader: gives batches of (inputs, labels, indices).
            gather: bring the samples of all ranks together; all ranks must call then.
        """
        modes = {module: module.training for module in self.modules()}  # some parts may be kept in evaluation mode
        self.eval()
        collector = Collector()
        for batch in loader:
            inputs, labels = self.unpack(move_data_to_device(batch, self.device))
            with self.trainer.precision_plugin.forward_context() if self._trainer else torch.no_grad():
                collector.add(self(inputs), labels, batch[2] if len(batch) > 2 else None)
        for module, training in modes.items():
            module.training = training
        return collector.finish(gather)


def _adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3)

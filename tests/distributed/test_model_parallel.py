"""`fit` with every parameter shared out over two ranks (FSDP2 on gloo) is `fit` on one process."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.tensor import DTensor

from metric_lightning.callbacks.whole_files import WholeFiles
from metric_lightning.data import BatchStrategy, PlainBatches
from metric_lightning.errors import UserError
from metric_lightning.losses import (
    ArcFaceLoss,
    CrossBatchMemory,
    PartialFCLoss,
    ProxyAnchorLoss,
    SigmoidPairwiseLoss,
    SoftmaxLoss,
    TripletMarginLoss,
    WeightedSum,
)
from metric_lightning.miners import RandomHardNegative
from metric_lightning.modules import ClassificationModule, EmbeddingModule, MetricModule
from tests.distributed.ranks import as_torchrun
from tests.distributed.small_run import Sgd, SmallData, SmallNet, trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def classifier() -> MetricModule:
    return ClassificationModule(SmallNet(), SoftmaxLoss())


def remembering() -> MetricModule:
    loss = CrossBatchMemory(TripletMarginLoss(margin=0.5, miner=RandomHardNegative(seed=2)), size=30)
    # Adam would blow up what a bias that moves nothing gets from rounding.
    return EmbeddingModule(SmallNet(), loss, Sgd)


def summed() -> MetricModule:
    loss = WeightedSum([ArcFaceLoss(scale=8.0), TripletMarginLoss(margin=0.5)], [0.5, 1.0])
    return EmbeddingModule(SmallNet(), loss, loss_lr_scale=3.0)


METHODS = {
    "softmax": (classifier, {}),
    "memory": (remembering, {}),
    "sum": (summed, {}),
    "whole-batch": (lambda: EmbeddingModule(SmallNet(), ProxyAnchorLoss(scale=8.0)), {}),
    "chunks": (lambda: EmbeddingModule(SmallNet(), ArcFaceLoss(scale=8.0), embed_chunk_size=3), {}),
    "accumulated": (summed, {"accumulate_grad_batches": 2}),
    "clipped": (classifier, {"gradient_clip_val": 0.05}),
}


def prepared(name: str) -> MetricModule:
    seed_everything(11)
    made = METHODS[name][0]()
    made.build(6, (1, 4, 4))
    return made


def batches(ranks: int) -> BatchStrategy:
    return PlainBatches(16 // ranks)


class SaveInBetween(Callback):
    """Saves after step 5: a run that has come to its end has left its epoch."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == 5:
            trainer.save_checkpoint(self.path)


def fit_parted(folder: Path, name: str, steps: int, resume: str | None) -> dict[str, Any]:
    made = prepared(name)
    strategy = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1, save_distributed_checkpoint=False)
    options = {"max_epochs": -1, "max_steps": steps, "strategy": strategy, "devices": 2, **METHODS[name][1]}
    run = trainer(folder, **options, callbacks=[SaveInBetween(folder / "5.ckpt")])
    run.strategy.checkpoint_io = WholeFiles()
    run.fit(made, SmallData(batches(2)), ckpt_path=resume, weights_only=True)
    figures = run.validate(made, SmallData(batches(2)), verbose=False)[0]
    parameters = dict(made.named_parameters())
    assert all(isinstance(parameter, DTensor) for parameter in parameters.values())
    held = sum(parameter.to_local().numel() for parameter in parameters.values())
    states = [item for state in run.optimizers[0].state.values() for item in state.values()]
    assert states and all(isinstance(item, DTensor) for item in states if item.ndim)
    run.save_checkpoint(folder / f"{steps}.ckpt")
    whole = {key: value.full_tensor().detach() for key, value in parameters.items()}
    return {"parameters": whole, "held": held, "figures": figures}


@pytest.mark.parametrize("name", METHODS)
def test_parted_over_two_ranks_is_one_process(name, tmp_path):
    one = prepared(name)
    start = {key: value.detach().clone() for key, value in one.named_parameters()}
    single = trainer(tmp_path, max_epochs=-1, max_steps=8, **METHODS[name][1])
    single.fit(one, SmallData(batches(1)))
    figures = single.validate(one, SmallData(batches(1)), verbose=False)[0]
    ranks = as_torchrun(2, fit_parted, tmp_path, name, 8, None)
    expected = {key: value.detach() for key, value in one.named_parameters()}
    for rank in ranks:
        torch.testing.assert_close(rank["parameters"], expected, rtol=1e-4, atol=1e-5)
        assert rank["figures"] == pytest.approx(figures, abs=1e-6)
    assert any(float((expected[key] - start[key]).abs().max()) > 5e-3 for key in start)
    size = sum(value.numel() for value in expected.values())
    assert sum(rank["held"] for rank in ranks) == size
    assert max(rank["held"] for rank in ranks) < 0.6 * size
    # The checkpoint is one whole file, and enough.
    again = type(one).load_from_checkpoint(tmp_path / "8.ckpt", weights_only=True)
    torch.testing.assert_close(dict(again.named_parameters()), expected, rtol=1e-4, atol=1e-5)


def test_a_parted_run_goes_on_from_its_checkpoint_and_so_does_one_process(tmp_path):
    whole = as_torchrun(2, fit_parted, tmp_path, "memory", 9, None)
    last = str(tmp_path / "5.ckpt")
    again = as_torchrun(2, fit_parted, tmp_path, "memory", 9, last)
    torch.testing.assert_close(again[0]["parameters"], whole[0]["parameters"], rtol=0, atol=0)
    alone = prepared("memory")
    single = trainer(tmp_path, max_epochs=-1, max_steps=9)
    single.fit(alone, SmallData(batches(1)), ckpt_path=last, weights_only=True)
    expected = {key: value.detach() for key, value in alone.named_parameters()}
    torch.testing.assert_close(whole[0]["parameters"], expected, rtol=1e-4, atol=1e-5)


def refused(case: str) -> str:
    losses = {"partial": PartialFCLoss(), "scalar": SigmoidPairwiseLoss(), "tensor": SoftmaxLoss()}
    size = 2 if case == "tensor" else 1
    strategy = ModelParallelStrategy(data_parallel_size=2 // size, tensor_parallel_size=size)
    with pytest.raises(UserError) as error:
        run = trainer(".", max_steps=1, strategy=strategy, devices=2)
        run.fit(EmbeddingModule(SmallNet(), losses[case]), SmallData())
    return str(error.value)


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("partial", "PartialFCLoss shares out its classes over ranks by itself, with strategy ddp"),
        ("scalar", "ModelParallelStrategy can't part loss."),
        ("tensor", "ModelParallelStrategy: tensor_parallel_size must be 1, got 2; set data_parallel_size to"),
    ],
)
def test_what_can_not_be_parted_is_refused_in_a_sentence(case, sentence):
    for said in as_torchrun(2, refused, case):
        assert said.startswith(sentence)

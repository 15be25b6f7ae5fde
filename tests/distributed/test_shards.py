"""Class weights shared out over ranks: what each holds, what all come to."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

from metric_lightning.data import PlainBatches
from metric_lightning.errors import UserError
from metric_lightning.losses import ArcFaceLoss, PartialFCLoss, WeightedSum
from metric_lightning.losses import partial_fc as formula
from metric_lightning.modules import EmbeddingModule
from metric_lightning.modules.ranks import loss_over_ranks
from tests.distributed.matrix import ROWS, batch, network
from tests.distributed.ranks import as_torchrun, averaged, on_ranks
from tests.distributed.small_run import SmallData, SmallNet, trainer

CLASSES, DIMENSIONS = 7, 3  # of the step; not divisible by 2 or 3


def make(**arguments: Any) -> PartialFCLoss:
    torch.manual_seed(1)
    return PartialFCLoss(CLASSES, DIMENSIONS, scale=8.0, **arguments).double()


def step(loss: Any, sizes: tuple[int, ...]) -> dict[str, Tensor]:
    """Return value and gradients of two steps, the weights' of this rank's classes."""
    net = network(torch.float64)
    found: dict[str, Tensor] = {}
    for number in range(2):
        inputs, labels = batch(number, torch.float64)
        labels = (labels * 2 + number) % CLASSES
        if dist.is_initialized():
            inputs, labels = (rows.split(sizes)[dist.get_rank()] for rows in (inputs, labels))
        net.zero_grad()
        loss.zero_grad()
        differentiated, value = loss_over_ranks(loss, net(inputs), labels)
        differentiated.backward()
        gradients = averaged(list(net.parameters()))
        found |= {f"{number}.{k}": gradient for k, gradient in enumerate(gradients)}
        found |= {f"{number}.value": value, f"{number}.weight": loss.weight.grad.clone()}
    return found


def sharded_step(sizes: tuple[int, ...], **arguments: Any) -> dict[str, Tensor]:
    loss = make(**arguments)
    loss.keep_share(dist.get_rank(), dist.get_world_size())
    assert len(loss.weight) < CLASSES
    return step(loss, sizes)


@pytest.mark.parametrize("sizes", [(7, 4), (0, 11), (4, 1, 6)], ids=str)
@pytest.mark.parametrize("sample_rate", [1.0, 0.3])
def test_shards_come_to_what_one_process_does(sizes, sample_rate):
    assert sum(sizes) == ROWS
    expected = step(make(sample_rate=sample_rate), ())
    if sample_rate == 1:
        arc = ArcFaceLoss(CLASSES, DIMENSIONS, scale=8.0).double()
        arc.load_state_dict({"weight": make().weight.detach()})
        for name, value in step(arc, ()).items():
            torch.testing.assert_close(expected[name], value, rtol=1e-10, atol=1e-12)
    else:
        assert bool((expected["0.weight"] == 0).all(dim=1).any()), "no class was left out"
    ranks = on_ranks(len(sizes), partial(sharded_step, sample_rate=sample_rate), sizes)
    for name, value in expected.items():
        if name.endswith("weight"):
            found = torch.cat([rank[name] for rank in ranks])
            torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-12)
        else:
            for rank in ranks:
                torch.testing.assert_close(rank[name], value, rtol=1e-10, atol=1e-12)


def test_some_classes_at_a_time_come_to_the_same(monkeypatch):
    expected = step(make(), ())
    monkeypatch.setattr(formula, "_KEPT_SCORES", 2 * ROWS)
    torch.testing.assert_close(step(make(), ()), expected, rtol=1e-12, atol=1e-12)


def test_a_draw_depends_on_seed_and_step_and_takes_its_share():
    loss = PartialFCLoss(20_000, 2, sample_rate=0.25)
    labels = torch.tensor([3, 19_999])
    first, second = loss._chosen(labels), loss._chosen(labels)
    assert {3, 19_999} <= set(first.tolist())
    assert abs(len(first) - 5_000) < 5 * (20_000 * 0.25 * 0.75) ** 0.5
    assert first.tolist() != second.tolist()
    loss.eval()
    assert len(loss._chosen(labels)) == 20_000


def test_more_ranks_than_classes_are_refused():
    with pytest.raises(ValueError, match="7 classes can't be shared out over 8 ranks"):
        make().keep_share(0, 8)


def million() -> tuple[int, float, float]:
    torch.manual_seed(dist.get_rank())
    loss = PartialFCLoss(1_000_000, 8, sample_rate=0.01)
    loss.keep_share(dist.get_rank(), dist.get_world_size())
    embeddings = torch.randn(6, 8, requires_grad=True)
    differentiated, value = loss_over_ranks(loss, embeddings, torch.arange(6) * 150_000)
    differentiated.backward()
    assert loss.weight.grad is not None and embeddings.grad is not None
    return len(loss.weight), float(value), float(embeddings.grad.norm())


def test_a_million_classes_over_two_ranks():
    ranks = on_ranks(2, million)
    assert [classes for classes, _, _ in ranks] == [500_000, 500_000]
    assert ranks[0][1] == ranks[1][1] > 0 and all(norm > 0 for _, _, norm in ranks)


def module() -> EmbeddingModule:
    """Return it with all its weights, always the same."""
    torch.manual_seed(5)
    loss = PartialFCLoss(scale=8.0, sample_rate=0.7)
    made = EmbeddingModule(SmallNet(), loss, partial(torch.optim.AdamW, lr=0.05))
    made.build(6, (1, 4, 4))
    return made


def fit_and_save(folder: Path, steps: int, resume: str | None) -> dict[str, Any]:
    made = module()
    data = SmallData(PlainBatches(8))
    saving = Save(folder / f"{steps}.ckpt", steps)
    # One step more: a run that has come to its end has left its epoch.
    run = trainer(folder, max_epochs=-1, max_steps=steps + 1, strategy="ddp", devices=2, callbacks=[saving])
    run.fit(made, data, ckpt_path=resume, weights_only=True)
    share = made.loss.weight.detach().clone()
    assert len(share) == 3 and run.optimizers[0].state_dict()["state"][len(list(made.parameters())) - 1]
    return {"share": share, "saved": saving.share, "network": made.network.state_dict()}


class Save(Callback):
    """Saves after so many steps, and keeps this rank's share."""

    def __init__(self, path: Path, step: int):
        self.path = path
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, module: EmbeddingModule, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            self.share = module.loss.weight.detach().clone()


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
def test_fit_saves_all_shares_and_goes_on_with_any_number_of_ranks(tmp_path):
    one = module()
    data = SmallData(PlainBatches(16))
    whole = trainer(tmp_path, max_epochs=-1, max_steps=12)
    whole.fit(one, data)
    ranks = as_torchrun(2, fit_and_save, tmp_path, 7, None)
    assert not torch.equal(ranks[0]["share"], ranks[1]["share"])
    saved = torch.load(tmp_path / "7.ckpt", weights_only=True)
    assert torch.equal(saved["state_dict"]["loss.weight"], torch.cat([rank["saved"] for rank in ranks]))
    again = as_torchrun(2, fit_and_save, tmp_path, 11, str(tmp_path / "7.ckpt"))
    found = torch.cat([rank["share"] for rank in again])
    torch.testing.assert_close(found, one.loss.weight.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(again[0]["network"], dict(one.network.state_dict()), rtol=1e-4, atol=1e-4)
    # And on one process.
    alone = module()
    single = trainer(tmp_path, max_epochs=-1, max_steps=12)
    single.fit(alone, SmallData(PlainBatches(16)), ckpt_path=tmp_path / "7.ckpt", weights_only=True)
    assert len(alone.loss.weight) == 6 and single.global_step == 12


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
def test_several_ranks_go_on_with_what_one_process_saved(tmp_path):
    one = module()
    data = SmallData(PlainBatches(16))
    trainer(tmp_path, max_epochs=-1, max_steps=12, callbacks=[Save(tmp_path / "7.ckpt", 7)]).fit(one, data)
    ranks = as_torchrun(2, fit_and_save, tmp_path, 11, str(tmp_path / "7.ckpt"))
    found = torch.cat([rank["share"] for rank in ranks])
    torch.testing.assert_close(found, one.loss.weight.detach(), rtol=1e-4, atol=1e-4)


def on_three(resume: Path) -> tuple[int, Tensor]:
    made = module()
    run = trainer(resume.parent, max_epochs=-1, max_steps=9, strategy="ddp", devices=3)
    loaded = Loaded()
    run.callbacks.append(loaded)
    run.fit(made, SmallData(PlainBatches(4)), ckpt_path=resume, weights_only=True)
    return run.global_step, loaded.moments


class Loaded(Callback):
    """Keeps the optimizer's state of this rank's share as it was loaded."""

    def on_train_start(self, trainer: Trainer, module: EmbeddingModule) -> None:
        self.moments = trainer.optimizers[0].state[module.loss.weight]["exp_avg"].clone()


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
def test_three_ranks_go_on_with_what_two_saved(tmp_path):
    as_torchrun(2, fit_and_save, tmp_path, 7, None)
    ranks = as_torchrun(3, on_three, tmp_path / "7.ckpt")
    assert [step for step, _ in ranks] == [9] * 3
    (state,) = torch.load(tmp_path / "7.ckpt", weights_only=True)["optimizer_states"]
    saved = [moments["exp_avg"] for moments in state["state"].values()][-1]
    torch.testing.assert_close(torch.cat([moments for _, moments in ranks]), saved, rtol=0, atol=0)


def test_weights_that_no_optimizer_moves_are_saved(tmp_path):
    made = module()
    made.loss.weight.requires_grad_(False)
    run = trainer(tmp_path, max_epochs=-1, max_steps=1)
    run.fit(made, SmallData(PlainBatches(16)))
    run.save_checkpoint(tmp_path / "frozen.ckpt")
    saved = torch.load(tmp_path / "frozen.ckpt", weights_only=True)["state_dict"]["loss.weight"]
    assert torch.equal(saved, made.loss.weight)


CLIP = 0.05  # far below the norms of this run, so that every step is scaled


def fit_and_clip(**arguments: Any) -> dict[str, Any]:
    made = module()
    norms = Norms()
    run = trainer(".", max_epochs=-1, max_steps=5, strategy="ddp", devices=2, callbacks=[norms], **arguments)
    run.fit(made, SmallData(PlainBatches(8)))
    return {"share": made.loss.weight.detach().clone(), "network": made.network.state_dict(), "norms": norms.squared}


class Norms(Callback):
    """Notes the squared norm of this rank's gradients after clipping: of the loss's weights, of all else."""

    def __init__(self) -> None:
        self.squared: list[tuple[float, float]] = []

    def on_before_zero_grad(self, trainer: Trainer, module: EmbeddingModule, optimizer: Any) -> None:
        gradients = [parameter.grad for parameter in module.network.parameters()]
        if module.loss.weight.grad is not None:
            rest = sum(float(gradient.square().sum()) for gradient in gradients)
            self.squared.append((float(module.loss.weight.grad.square().sum()), rest))


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize("algorithm", [None, "norm", "value"])
def test_clipped_gradients_are_those_of_one_process(algorithm, tmp_path):
    clipping = {"gradient_clip_val": CLIP, "gradient_clip_algorithm": algorithm}
    one = module()
    trainer(tmp_path, max_epochs=-1, max_steps=5, **clipping).fit(one, SmallData(PlainBatches(16)))
    ranks = as_torchrun(2, partial(fit_and_clip, **clipping))
    found = torch.cat([rank["share"] for rank in ranks])
    torch.testing.assert_close(found, one.loss.weight.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ranks[0]["network"], dict(one.network.state_dict()), rtol=1e-4, atol=1e-4)
    if algorithm != "value":
        for (share, rest), (other, same) in zip(ranks[0]["norms"], ranks[1]["norms"], strict=True):
            assert rest == same
            assert (share + other + rest) ** 0.5 == pytest.approx(CLIP, rel=1e-4)


def refusal(make: Any, plugins: list[Any] | None) -> str:
    run = trainer(".", max_steps=1, plugins=plugins)
    made = make()
    made.trainer = run
    with pytest.raises(UserError) as refused:
        made.configure_model()
    return str(refused.value)


def in_a_sum() -> EmbeddingModule:
    return EmbeddingModule(
        SmallNet(), WeightedSum([PartialFCLoss(), ArcFaceLoss()]), num_classes=6, input_shape=(1, 4, 4)
    )


def test_what_shares_can_not_do_is_refused_in_a_sentence():
    for said in on_ranks(2, refusal, in_a_sum, None):
        assert said.startswith("PartialFCLoss can't be a part of WeightedSum on several ranks: ")
    scaled = [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))]
    for said in on_ranks(2, refusal, module, scaled):
        assert said.startswith("precision 16-mixed can't be used with class weights shared out over ranks: ")

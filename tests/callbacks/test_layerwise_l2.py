"""The penalty of each layer against a loss that holds it."""

import functools

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from torch import nn

from metric_lightning.callbacks import LayerwiseL2
from metric_lightning.data import Digits, PlainBatches
from metric_lightning.errors import UserError
from metric_lightning.losses import ContrastiveLoss
from metric_lightning.modules import EmbeddingModule

STRENGTHS = {"network": 0.01, "network.3": 0.5}


class Penalised(EmbeddingModule):
    """The same by a sum that autograd differentiates."""

    def batch_loss(self, embeddings, labels):
        value, logged = super().batch_loss(embeddings, labels)
        return value + 0.01 * self.network[1].weight.square().sum() + 0.5 * self.network[
            3
        ].weight.square().sum(), logged


def trained(module_class, folder, callbacks):
    seed_everything(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 3))
    module = module_class(
        network, ContrastiveLoss(), optimizer=functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    )
    trainer = Trainer(
        max_steps=3, accelerator="cpu", logger=False, default_root_dir=folder, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=callbacks, limit_val_batches=0,
        use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=Digits(batches=PlainBatches(32)))
    return list(network.parameters())


def test_it_trains_as_a_loss_that_holds_the_penalty(tmp_path):
    found = trained(EmbeddingModule, tmp_path / "a", [LayerwiseL2(STRENGTHS)])
    wanted = trained(Penalised, tmp_path / "b", [])
    without = trained(EmbeddingModule, tmp_path / "c", [])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(found[0], without[0])


def test_a_name_that_fits_no_weight_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no weight is called 'network.7'...; there are network.1.weight"):
        trained(EmbeddingModule, tmp_path, [LayerwiseL2({"network.7": 0.1})])


@pytest.mark.parametrize("strengths", [{}, {"network": -1.0}])
def test_bad_strengths_are_named(strengths):
    with pytest.raises(ValueError, match="LayerwiseL2: strength"):
        LayerwiseL2(strengths)

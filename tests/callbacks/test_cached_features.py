"""A head trained on cached features is the head trained on pictures, in a fraction of the time."""

import multiprocessing as mp

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch import Trainer as LightningTrainer

from metric_lightning.callbacks import CachedFeatures
from metric_lightning.data import BalancedBatches, ImageFolder
from metric_lightning.errors import UserError
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNet, TorchvisionBackbone
from tests.data.digit_pictures import write_digits


class TrunkCalls(Callback):
    """Counts how often the trunk runs in each epoch, validation included."""

    def __init__(self):
        self.of_epochs = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.of_epochs.append(0)
        self._hook = pl_module.network.layers.trunk.register_forward_hook(self._count)

    def on_train_epoch_end(self, trainer, pl_module):
        self._hook.remove()

    def _count(self, *_):
        self.of_epochs[-1] += 1


def folder(root, side=32, **options) -> ImageFolder:
    size = options.pop("size", 32)
    batches = BalancedBatches(3, 4)
    return ImageFolder(str(root), batches, size=size, num_workers=0, **({"augment": []} | options))


def descent(parameters) -> torch.optim.Optimizer:
    # Adam's steps are as large for a gradient of rounding errors as for any other.
    return torch.optim.SGD(parameters, lr=0.1)


def backbone(seed=0, **options) -> TorchvisionBackbone:
    torch.manual_seed(seed)
    return TorchvisionBackbone("resnet18", embedding_dim=8, **({"frozen": True} | options))


def fit(data, network, callbacks, epochs=2) -> EmbeddingModule:
    module = EmbeddingModule(network, TripletMarginLoss(margin=0.2), optimizer=descent)
    run = LightningTrainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=callbacks,
    )
    run.fit(module, datamodule=data)
    return module


def test_the_same_head_without_a_pass_through_the_trunk(tmp_path):
    """How much faster that is: `python -m benchmarks.cached_features`."""
    write_digits(tmp_path, each=12, classes=3)
    heads, calls = [], []
    for callbacks in ([], [CachedFeatures()]):
        counted = TrunkCalls()
        data = folder(tmp_path, size=32)
        module = fit(data, backbone(), [*callbacks, counted])
        heads.append(module.network.layers.head.weight.detach())
        calls.append(counted.of_epochs)
        assert next(iter(data.train_dataloader())).inputs.ndim == 4  # pictures again
    torch.testing.assert_close(heads[0], heads[1], atol=1e-4, rtol=1e-3)
    assert not torch.allclose(heads[0], backbone_head(), atol=1e-3)
    assert min(calls[0]) > 0 and calls[1] == [0, 0]


def backbone_head() -> torch.Tensor:
    network = backbone()
    network.build((3, 32, 32))
    return network.layers.head.weight.detach()


def test_features_on_disk_spare_the_next_run_the_pass(tmp_path, monkeypatch):
    paths = write_digits(tmp_path / "photos", each=8, classes=3)
    passes = []
    embed = EmbeddingModule.embed

    def counted(self, loader, gather=True, of=None):
        passes.append(of is not None)
        return embed(self, loader, gather, of)

    monkeypatch.setattr(EmbeddingModule, "embed", counted)

    def passes_of(network, **options) -> int:
        passes.clear()
        fit(folder(tmp_path / "photos", **options), network, [CachedFeatures(str(tmp_path / "kept"))], epochs=1)
        return sum(passes)

    assert passes_of(backbone()) == 2
    assert passes_of(backbone()) == 0
    assert passes_of(backbone(seed=1)) == 2  # another trunk
    assert passes_of(backbone(), size=40) == 2
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert passes_of(backbone()) == 2  # damaged
    paths[0].write_bytes(paths[1].read_bytes() + b" ")
    assert passes_of(backbone()) >= 1


def test_what_cant_be_cached_is_one_sentence(tmp_path):
    write_digits(tmp_path, each=8, classes=3)
    with pytest.raises(UserError, match="needs a network whose trunk is frozen: give TorchvisionBackbone or"):
        fit(folder(tmp_path), backbone(frozen=False), [CachedFeatures()])
    with pytest.raises(UserError, match="needs a network whose trunk is frozen"):
        fit(folder(tmp_path), EmbeddingNet(8), [CachedFeatures()])
    data = folder(tmp_path, augment=None)
    with pytest.raises(UserError, match=r"data are augmented anew in every epoch; give the data augment: \[\]"):
        fit(data, backbone(), [CachedFeatures()])
    with pytest.raises(ValueError, match="instead of the train part must have its labels"):
        data.take_instead(data.val_set, None)


def test_channels_last_and_compiled_give_the_same_embeddings(tmp_path, monkeypatch):
    write_digits(tmp_path, each=8, classes=3)
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, *args, **options: compiled.append(self))
    data = folder(tmp_path)
    found = {}
    for name, options in {"plain": {}, "fast": {"channels_last": True, "compile_network": True}}.items():
        module = EmbeddingModule(backbone(), TripletMarginLoss(), optimizer=descent, input_shape=(3, 32, 32), **options)
        LightningTrainer(
            max_epochs=1, limit_train_batches=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        ).fit(module, datamodule=data)  # fmt: skip
        found[name] = module
    assert compiled == [found["fast"].network]
    weight = found["fast"].network.layers.trunk.conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    inputs = next(iter(data.val_dataloader())).inputs
    plain, fast = (found[name].eval()(inputs) for name in ("plain", "fast"))
    torch.testing.assert_close(plain, fast, atol=1e-4, rtol=1e-3)
    assert found["plain"].state_dict().keys() == found["fast"].state_dict().keys()


@pytest.mark.slow
def test_a_network_is_compiled_in_earnest(tmp_path):
    """In a process of its own: the compiler leaves threads behind with which no later test could fork ranks."""
    write_digits(tmp_path, each=8, classes=3)
    process = mp.get_context("fork").Process(target=fit_compiled, args=(tmp_path,))
    process.start()
    process.join(300)
    assert process.exitcode == 0


def fit_compiled(tmp_path):
    module = EmbeddingModule(EmbeddingNet(4), TripletMarginLoss(), compile_network=True)
    LightningTrainer(
        max_epochs=1, limit_train_batches=2, limit_val_batches=0, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False,
    ).fit(module, datamodule=folder(tmp_path))  # fmt: skip
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert all("_orig_mod" not in key for key in module.state_dict())

"""Modules: what they compute, that they train, and that a checkpoint alone brings them back."""

import functools

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from torch import nn

from metric_lightning.data import BalancedBatches, Digits, PairBatches, PlainBatches, TripletBatches
from metric_lightning.losses import ContrastiveLoss, CrossBatchMemory, SoftmaxLoss, TripletMarginLoss, WeightedSum
from metric_lightning.metrics import RetrievalMetrics
from metric_lightning.miners import RandomHardNegative
from metric_lightning.modules import ClassificationModule, EmbeddingModule, SiameseModule, TripletModule
from metric_lightning.networks import EmbeddingNet, EmbeddingNetwork
from metric_lightning.relevance import MultiLabel


class SmallNet(EmbeddingNetwork):
    def __init__(self, embedding_dim: int = 8, input_shape: tuple[int, int, int] | None = None):
        super().__init__(embedding_dim)
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape):
        size = torch.Size(input_shape).numel()
        return nn.Sequential(nn.Flatten(), nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, self.embedding_dim))


def quick_trainer(folder, epochs=3, **arguments) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **arguments,
    )


METHODS = {
    "softmax": (lambda: ClassificationModule(SmallNet(), SoftmaxLoss()), PlainBatches(64)),
    "siamese": (lambda: SiameseModule(SmallNet(), ContrastiveLoss(margin=1.0)), PairBatches(64)),
    "triplet": (lambda: TripletModule(SmallNet(), TripletMarginLoss(margin=1.0)), TripletBatches(64)),
    "online": (
        lambda: EmbeddingModule(SmallNet(), TripletMarginLoss(margin=1.0, miner=RandomHardNegative(seed=3))),
        BalancedBatches(n_classes=10, n_samples=8),
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_digits_and_comes_back_from_its_checkpoint(method, tmp_path):
    seed_everything(0)
    make, batches = METHODS[method]
    data = Digits(batches=batches)
    module = make()
    trainer = quick_trainer(tmp_path, epochs=15)
    trainer.fit(module, datamodule=data)
    (figures,) = trainer.test(module, datamodule=data, verbose=False)
    assert figures["test/knn_accuracy"] > 0.93
    assert set(figures) >= {"test/precision_at_1", "test/r_precision", "test/map_at_r"}

    path = tmp_path / "saved.ckpt"
    trainer.save_checkpoint(path)
    again = type(module).load_from_checkpoint(path, weights_only=True)
    inputs = data.test_set[0][0][None]
    module.eval(), again.eval()
    torch.testing.assert_close(again(inputs), module(inputs), rtol=0, atol=0)
    assert again.state_dict().keys() == module.state_dict().keys()
    assert again.hparams["num_classes"] == 10


def test_siamese_loss_is_the_mean_over_the_given_pairs():
    torch.manual_seed(0)
    embeddings = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 2, 3, 3, 0, 1])
    module = SiameseModule(SmallNet(3, (1, 8, 8)), ContrastiveLoss(margin=2.0))
    value, logged = module.batch_loss(embeddings, labels)
    costs = []
    for first, second in ((0, 1), (2, 3), (4, 5), (6, 7)):
        distance = (embeddings[first] - embeddings[second]).norm()
        same = labels[first] == labels[second]
        costs.append(0.5 * distance**2 if same else 0.5 * torch.clamp(2.0 - distance, min=0) ** 2)
    expected = torch.stack(costs).mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(logged, expected.detach())
    (found,) = torch.autograd.grad(value, embeddings)
    (wanted,) = torch.autograd.grad(expected, embeddings)
    torch.testing.assert_close(found, wanted)


def test_triplet_loss_is_the_mean_over_the_given_triplets():
    torch.manual_seed(1)
    embeddings = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 2, 2, 0, 1, 1, 2])
    module = TripletModule(SmallNet(3, (1, 8, 8)), TripletMarginLoss(margin=1.0))
    value, _ = module.batch_loss(embeddings, labels)
    a, p, n = embeddings.view(3, 3, 3).unbind(1)
    expected = nn.functional.triplet_margin_loss(a, p, n, margin=1.0, eps=0)
    torch.testing.assert_close(value, expected)
    (found,) = torch.autograd.grad(value, embeddings)
    (wanted,) = torch.autograd.grad(expected, embeddings)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("module_class", [SiameseModule, TripletModule])
def test_given_tuples_refuse_class_weights_in_one_sentence(module_class):
    module = module_class(SmallNet(3, (1, 8, 8)), SoftmaxLoss(num_classes=2, embedding_dim=3))
    with pytest.raises(ValueError, match="SoftmaxLoss can't be used on given pairs or triplets; use EmbeddingModule"):
        module.batch_loss(torch.randn(6, 3), torch.tensor([0, 0, 1, 1, 0, 1]))


def test_classification_embeds_behind_the_activation():
    module = ClassificationModule(SmallNet(4, (1, 8, 8)), SoftmaxLoss(num_classes=3))
    inputs = torch.randn(5, 1, 8, 8)
    raw = module.network(inputs)
    torch.testing.assert_close(module(inputs), torch.where(raw > 0, raw, 0.25 * raw))


def test_same_seed_same_weights_bit_for_bit(tmp_path):
    weights = []
    for run in range(2):
        seed_everything(5)
        module = METHODS["online"][0]()
        quick_trainer(tmp_path / str(run), epochs=2).fit(module, datamodule=Digits(batches=METHODS["online"][1]))
        weights.append([parameter.detach().clone() for parameter in module.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_a_plain_network_needs_no_description_but_is_asked_for_on_loading(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    module = EmbeddingModule(network, TripletMarginLoss(), optimizer=functools.partial(torch.optim.SGD, lr=0.1))
    trainer = quick_trainer(tmp_path, epochs=1)
    trainer.fit(module, datamodule=Digits(batches=PlainBatches(64)))
    trainer.save_checkpoint(tmp_path / "plain.ckpt")
    again = EmbeddingModule.load_from_checkpoint(
        tmp_path / "plain.ckpt", network=nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), weights_only=True
    )
    torch.testing.assert_close(again.network[1].weight, module.network[1].weight)
    assert "network" not in module.hparams
    assert module.hparams["optimizer"]["init_args"] == {"lr": 0.1}


def test_the_losses_own_parameters_get_their_own_learning_rate():
    module = EmbeddingModule(SmallNet(4, (1, 8, 8)), SoftmaxLoss(), loss_lr_scale=100.0, num_classes=3)
    optimizer = module.configure_optimizers()
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, pytest.approx(0.1)]
    listed = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert listed == {id(p) for p in module.parameters()}


def test_metrics_are_chosen_and_evaluated_on_one_pass_of_embeddings(tmp_path):
    class Counting(SmallNet):
        calls = 0

        def forward(self, inputs):
            type(self).calls += len(inputs)
            return super().forward(inputs)

    data = Digits(batches=PlainBatches(64))
    module = EmbeddingModule(
        Counting(),
        TripletMarginLoss(),
        metrics=[RetrievalMetrics(recall_at=(1, 4)), RetrievalMetrics(distance="cosine")],
    )
    trainer = quick_trainer(tmp_path)
    (figures,) = trainer.test(module, datamodule=data, verbose=False)
    assert "test/recall_at_4" in figures and "test/knn_accuracy" not in figures
    assert Counting.calls == len(data.test_set)  # neither metric looks at a gallery
    assert len(module.evaluated["test"].labels) == len(data.test_set)
    module.metrics.append(RetrievalMetrics(search="gallery"))
    trainer.test(module, datamodule=data, verbose=False)
    assert Counting.calls == 2 * len(data.test_set) + len(data.train_eval_set)


def test_embedding_leaves_the_training_mode_as_it_was(tmp_path):
    data = Digits()
    data.setup()
    module = EmbeddingModule(SmallNet(4, (1, 8, 8)), TripletMarginLoss())
    module.train()
    module.network.eval()
    found = module.embed(data.val_dataloader())
    assert module.training and not module.network.training and found.embeddings.shape == (len(data.val_set), 4)
    assert torch.equal(found.labels, data.val_set.labels)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scheduler_interval": "week"}, "scheduler_interval must be 'epoch' or 'step', got 'week'"),
        ({"embed_chunk_size": 0}, "embed_chunk_size must be at least 1 or None, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        EmbeddingModule(SmallNet(), TripletMarginLoss(), **arguments)


def test_classes_unknown_to_the_loss_are_asked_for():
    module = EmbeddingModule(SmallNet(4, (1, 8, 8)), SoftmaxLoss())
    with pytest.raises(ValueError, match="SoftmaxLoss: the number of classes is not known"):
        module.build(None, (1, 8, 8))


def test_statistics_tell_a_separated_batch_from_a_mixed_one():
    from metric_lightning.modules.statistics import batch_statistics

    labels = torch.tensor([0, 0, 1, 1])
    loss = TripletMarginLoss(margin=1.0)
    apart = batch_statistics(loss, torch.tensor([[0.0], [0.1], [9.0], [9.1]]), labels)
    assert apart["active_pairs"] == 0
    assert apart["positive_distance"] == pytest.approx(0.1, abs=1e-3)
    assert apart["negative_distance"] == pytest.approx(9.0, abs=1e-3)
    mixed = batch_statistics(loss, torch.tensor([[0.0], [1.0], [0.1], [1.1]]), labels)
    assert mixed["active_pairs"] > 0.5
    assert batch_statistics(loss, torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)) == {}


def test_statistics_look_through_losses_that_hold_others():
    from metric_lightning.modules.statistics import batch_statistics

    labels, points = torch.tensor([0, 0, 1, 1]), torch.tensor([[0.0], [1.0], [2.0], [5.0]])
    triplets, pairs = TripletMarginLoss(margin=0.1), ContrastiveLoss(margin=1.5)

    def active(loss):
        return batch_statistics(loss, points, labels).get("active_pairs")

    assert active(CrossBatchMemory(triplets, size=4)) == active(triplets)
    # Triplets (1, 0, 2), (2, 3, 0) and (2, 3, 1) cost something; of pairs those of a class, and (1, 2) both ways.
    assert active(triplets) == pytest.approx(5 / 12) and active(pairs) == pytest.approx(6 / 12)
    assert active(WeightedSum([triplets, pairs])) == pytest.approx(7 / 12)
    assert active(WeightedSum([triplets, SoftmaxLoss(2, 1)])) is None


def test_statistics_of_samples_with_several_labels():
    from metric_lightning.modules.statistics import batch_statistics

    labels = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 1]]).bool()
    found = batch_statistics(TripletMarginLoss(relevance=MultiLabel()), torch.tensor([[0.0], [1.0], [1.5]]), labels)
    assert set(found) == {"active_pairs"} and found["active_pairs"] > 0


def test_statistics_do_not_move_a_random_miner_on():
    from metric_lightning.modules.statistics import batch_statistics

    loss = TripletMarginLoss(miner=RandomHardNegative())
    batch_statistics(loss, torch.randn(8, 2), torch.arange(8) // 2)
    assert int(loss.miner.random.step) == 0 and loss.training


def test_embedding_net_is_sized_by_the_data(tmp_path):
    data = Digits(batches=PlainBatches(64))
    module = EmbeddingModule(EmbeddingNet(embedding_dim=2, padding=2), TripletMarginLoss())
    quick_trainer(tmp_path, limit_train_batches=2, epochs=1).fit(module, datamodule=data)
    assert module.network.built_for == (1, 8, 8)
    assert module.hparams["input_shape"] == [1, 8, 8]


def test_a_checkpoint_keeps_validation_figures_of_its_own_weights_alone(tmp_path):
    class Saves(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.current_epoch == 1 and batch_idx == 0:
                trainer.save_checkpoint(tmp_path / "between.ckpt")

        def on_validation_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / "validated.ckpt")

    data = Digits(batches=BalancedBatches(n_classes=10, n_samples=8))
    trainer = quick_trainer(tmp_path, 2, limit_train_batches=2, num_sanity_val_steps=0, callbacks=[Saves()])
    trainer.fit(EmbeddingModule(SmallNet(), TripletMarginLoss()), datamodule=data)
    kept = {
        name: torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["metric_lightning_shipping"]["figures"]
        for name in ("between", "validated")
    }
    assert "val/map_at_r" in kept["validated"]
    assert not [name for name in kept["between"] if name.startswith("val/")]

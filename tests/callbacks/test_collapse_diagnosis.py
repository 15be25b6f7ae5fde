import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from metric_lightning.callbacks import CollapseDiagnosis
from metric_lightning.callbacks.conditions import Observation, collapsed, few_dimensions, growing_norm
from metric_lightning.callbacks.embedding_health import health_of
from metric_lightning.callbacks.events import read_scalars
from metric_lightning.callbacks.loss_distances import distance_scale, loss_distances, sees_origin
from metric_lightning.callbacks.observing import Progress
from metric_lightning.callbacks.recipes import recipe_of
from metric_lightning.callbacks.remedies import Recipe, against_collapse
from metric_lightning.callbacks.run_folder import tensorboard_writer
from metric_lightning.data import ArrayDataset, BalancedBatches, MetricDataModule, MNIST5k, SampleSplit
from metric_lightning.distances import CosineDistance, DotProductDistance, WeightedL1Distance
from metric_lightning.losses import (
    ContrastiveLoss,
    CrossBatchMemory,
    NormalizedSoftmaxLoss,
    NPairsLoss,
    PairCrossEntropyLoss,
    SignalToNoiseContrastiveLoss,
    SoftmaxLoss,
    TripletMarginLoss,
    TripletSoftMarginLoss,
    WeightedSum,
)
from metric_lightning.miners import BatchHard, HardestNegative, RandomHardNegative, SemiHardNegative
from metric_lightning.modules import ClassificationModule, EmbeddingModule
from metric_lightning.networks import EmbeddingNet
from metric_lightning.relevance import MultiLabel
from tests.callbacks.small import NAMES, Linear, Quarters, images, module, trainer
from tests.callbacks.tensorboard_server import tensorboard


class Blind(Linear):
    """Sees noise in place of classes."""

    def forward(self, inputs):
        return super().forward(torch.sin(1e4 * inputs))


class Corners(Linear):
    """Puts each class into a corner of its own."""

    def make_layers(self, input_shape):
        layers = super().make_layers(input_shape)
        quarters = torch.zeros(4, *input_shape[1:])
        for label in range(4):
            row, column = 3 * (label // 2), 2 * (label % 2)
            quarters[label, row : row + 3, column : column + 2] = 1.0
        with torch.no_grad():
            layers[1].weight.copy_(quarters.flatten(1))
        return layers


class NotFinite(Linear):
    def forward(self, inputs):
        return super().forward(inputs) / 0


def diagnosed(tmp_path, model: LightningModule, **options) -> dict[str, str]:
    callback = CollapseDiagnosis()
    trainer(tmp_path, [callback], **({"max_epochs": 4} | options)).fit(model, datamodule=Quarters())
    return callback.named


def test_a_collapse_is_named_once_in_console_and_tensorboard(tmp_path, caplog):
    run = trainer(tmp_path, [CollapseDiagnosis()], max_epochs=6)
    run.fit(module(Linear(zero=True), lr=0.0), datamodule=Quarters())
    tensorboard_writer(run).close()
    said = [record.message for record in caplog.records if "collapsed" in record.message]
    (sentence,) = said
    assert sentence.startswith("After 3 epochs: The embedding has collapsed:") and sentence.endswith(".")
    assert "apart against a margin of 1 and the loss stands at 1;" in sentence and "\n" not in sentence
    with tensorboard(tmp_path) as server:
        tags = server.wait_for(lambda: server.json("plugin/text/tags").get("run/version_0"))
        assert "diagnosis/collapsed/text_summary" in tags
        assert "val_embedding/spread" in server.json("plugin/scalars/tags")["run/version_0"]


def test_without_validation_data_the_training_samples_tell(tmp_path):
    diagnosis = CollapseDiagnosis(patience=2)
    model = module(Linear(zero=True), lr=0.0)
    trainer(tmp_path, [diagnosis], max_epochs=3).fit(model, datamodule=Quarters(validation_size=0))
    assert list(diagnosis.named) == ["collapsed"]
    healthy = CollapseDiagnosis(patience=2)
    trainer(tmp_path / "healthy", [healthy], max_epochs=3).fit(module(), datamodule=Quarters(validation_size=0))
    assert healthy.named == {}


@pytest.mark.parametrize(
    "loss", [TripletMarginLoss(0.2), TripletSoftMarginLoss()], ids=lambda loss: type(loss).__name__
)
def test_a_point_apart_from_zero_is_a_collapse_too(tmp_path, loss):
    network = Blind(embedding_dim=4)
    network.build((1, 6, 4))
    nn.init.ones_(network.layers[1].bias)
    nn.init.normal_(network.layers[1].weight, std=1e-4)
    assert set(diagnosed(tmp_path, module(network, loss, lr=0.0))) == {"collapsed"}


def test_a_collapse_under_a_classifier_is_named(tmp_path):
    model = ClassificationModule(Linear(zero=True), SoftmaxLoss(), lambda p: torch.optim.SGD(p, lr=0.0))
    assert set(diagnosed(tmp_path, model)) == {"collapsed"}


def collapsed_health(offset: float, size: float, dimensions: int = 8, classes: int = 6):
    """What is observed of classes that lie over one another, `size` across, `offset` away from the origin."""
    embeddings = size * torch.randn(120, dimensions, generator=torch.Generator().manual_seed(0)) + offset
    return embeddings, torch.arange(120) % classes


def seen_by(loss, embeddings, labels) -> Observation:
    distances = loss_distances(loss, embeddings, embeddings)
    return Observation(
        health_of(embeddings, labels, distances),
        dimensions=embeddings.shape[1],
        classes=len(labels.unique()),
        scale=distance_scale(loss),
        loss=0.5,
        active=1.0,
        batches=200,
        sees_origin=sees_origin(loss, embeddings.shape[1]),
        own_distance=float(distances.diagonal().mean()),
    )


@pytest.mark.parametrize(
    "loss, offset, size, expected",
    [
        (TripletMarginLoss(0.2), 100.0, 1.0, False),  # moved: Euclidean distances are the same
        (TripletMarginLoss(0.2), 100.0, 1e-3, True),
        (TripletMarginLoss(0.2), 0.0, 1e-3, True),
        (TripletMarginLoss(0.2, distance=CosineDistance()), 0.0, 1e-3, False),
        (TripletMarginLoss(0.2, distance=CosineDistance()), 1.0, 1e-3, True),
        (TripletMarginLoss(0.2, distance=DotProductDistance()), 0.0, 1.0, False),
        (TripletMarginLoss(0.2, distance=DotProductDistance()), 1.0, 1e-3, True),
        (NPairsLoss(), 0.0, 1.0, False),
        (SignalToNoiseContrastiveLoss(), 0.0, 1.0, False),
        (SoftmaxLoss(), 0.0, 1.0, False),
        (SoftmaxLoss(), 1.0, 1e-3, True),
        (CrossBatchMemory(TripletMarginLoss(1.0), size=10), 0.0, 1e-3, True),
        (WeightedSum([SoftmaxLoss(), TripletMarginLoss(1.0)]), 0.0, 1e-3, True),
        (WeightedSum([SoftmaxLoss(), TripletMarginLoss(1.0)]), 0.0, 1.0, False),
    ],
)
def test_what_a_collapse_is_depends_on_what_the_loss_sees(loss, offset, size, expected):
    seen = seen_by(loss, *collapsed_health(offset, size))
    assert seen.health.overlap > 0.4  # nothing is learned, but that alone is no collapse
    sentence = collapsed(seen)
    assert (sentence is not None) == expected
    assert sentence is None or " -" not in sentence  # distances are those of points, never negative


def test_a_learned_bias_of_the_distance_is_no_distance():
    loss = PairCrossEntropyLoss(distance=WeightedL1Distance(8, first_weight=1.0, first_bias=-2.0))
    assert collapsed(seen_by(loss, *collapsed_health(0.0, 0.3))) is None
    assert "lie 9" in collapsed(seen_by(loss, *collapsed_health(0.0, 1e-5)))


@pytest.mark.parametrize(
    "recipe, expected",
    [
        (Recipe(), "a lower learning rate or normalised embeddings (normalize: true of the network)"),
        (Recipe(pairwise=True, angular=True), "a lower learning rate"),
        (
            Recipe(pairwise=True, miner="BatchHard", picks_triplets=True, angular=True),
            "a softer miner than BatchHard (SemiHardNegative or RandomHardNegative), no miner (all triplets) or a "
            "lower learning rate",
        ),
        (
            Recipe(pairwise=True, miner="SemiHardNegative", picks_triplets=True, angular=True, decays=True),
            "no miner (all triplets), a lower learning rate or less weight decay",
        ),
        (
            Recipe(pairwise=True, miner="HardNegativePairs", angular=True),
            "no miner (all pairs) or a lower learning rate",
        ),
    ],
)
def test_remedies_are_what_the_run_does_not_do(recipe, expected):
    assert against_collapse(recipe) == expected


def test_a_recipe_is_read_off_the_run(tmp_path):
    run = trainer(tmp_path, [], max_epochs=1)
    loss = CrossBatchMemory(TripletMarginLoss(0.3, miner=SemiHardNegative()), size=8)
    model = EmbeddingModule(Linear(2), loss, lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1))
    run.fit(model, datamodule=Quarters())
    assert recipe_of(run, model, torch.randn(9, 2)) == Recipe(True, 0.3, "SemiHardNegative", True, False, True)
    assert recipe_of(run, model, torch.nn.functional.normalize(torch.randn(9, 2))).angular
    model.loss = NormalizedSoftmaxLoss()
    assert recipe_of(run, model, torch.randn(9, 2)) == Recipe(decays=True)
    model.loss = TripletMarginLoss(0.1, distance=CosineDistance())
    assert recipe_of(run, model, torch.randn(9, 2)).angular


def test_a_soft_margin_is_told_to_stand_at_log_2_and_against_no_margin(tmp_path):
    named = diagnosed(tmp_path, module(Linear(zero=True), TripletSoftMarginLoss(miner=BatchHard()), lr=0.0))
    assert "apart and the loss stands at 0.6931 (log 2); train with a softer miner than BatchHard" in named["collapsed"]


class ManyClasses(MetricDataModule):
    """40 classes of six samples, half of them for validation."""

    def __init__(self, validation_size):
        self.names = [str(label) for label in range(40)]
        split = SampleSplit(validation_size=validation_size, test_size=40)
        super().__init__(self.names, (1, 6, 4), BalancedBatches(n_classes=4, n_samples=2), split)

    def load(self):
        return ArrayDataset(images(240)[0], torch.arange(240) % 40, self.names, mean=0.3, std=0.2), None


@pytest.mark.parametrize("validation_size", [120, 0])
def test_a_collapse_of_more_classes_than_points_is_named(tmp_path, validation_size):
    callback = CollapseDiagnosis(max_points=30)
    network = Blind(4)
    network.build((1, 6, 4))
    nn.init.normal_(network.layers[1].weight, std=1e-6)
    run = trainer(tmp_path, [callback], max_epochs=4)
    run.fit(module(network, lr=0.0), datamodule=ManyClasses(validation_size))
    assert set(callback.named) == {"collapsed"}


def test_a_short_run_is_told_at_its_end(tmp_path, caplog):
    assert set(diagnosed(tmp_path, module(Linear(zero=True), lr=0.0), max_epochs=2)) == {"collapsed"}
    assert [record.message[:14] for record in caplog.records if "collapsed" in record.message] == ["After 2 epochs"]
    assert diagnosed(tmp_path / "healthy", module(), max_epochs=2) == {}


def test_a_run_that_goes_on_does_not_repeat_what_was_named(tmp_path, caplog):
    first, second = CollapseDiagnosis(), CollapseDiagnosis()
    run = trainer(tmp_path, [first], max_epochs=4)
    run.fit(module(Linear(zero=True), lr=0.0), datamodule=Quarters())
    run.save_checkpoint(tmp_path / "last.ckpt")
    caplog.clear()
    model, path = module(Linear(zero=True), lr=0.0), tmp_path / "last.ckpt"
    trainer(tmp_path / "on", [second], max_epochs=8).fit(model, datamodule=Quarters(), ckpt_path=path)
    assert second.named == first.named and len(second._norms) == 8
    assert not [record for record in caplog.records if "collapsed" in record.message]
    # Another fit with the same callback is another run.
    trainer(tmp_path / "new", [second], max_epochs=4).fit(module(), datamodule=Quarters())
    assert second.named == {}


def test_samples_with_several_labels_are_diagnosed_too(tmp_path):
    class Several(EmbeddingModule):
        def unpack(self, batch):
            return batch[0], torch.nn.functional.one_hot(batch[1], 4).bool()

    network = Blind(4)
    network.build((1, 6, 4))
    nn.init.normal_(network.layers[1].weight, std=1e-6)
    loss = TripletMarginLoss(0.2, relevance=MultiLabel())
    model = Several(network, loss, lambda p: torch.optim.SGD(p, lr=0.0), metrics=[])
    callback = CollapseDiagnosis()
    trainer(tmp_path, [callback], max_epochs=4).fit(model, datamodule=Quarters())
    assert set(callback.named) == {"collapsed"}


def test_no_active_triplets_left_is_no_fault_where_classes_are_told_apart(tmp_path):
    callback = CollapseDiagnosis()
    run = trainer(tmp_path, [callback], max_epochs=36)  # of three batches
    run.fit(module(Corners(4), TripletMarginLoss(0.1), metrics=[]), datamodule=Quarters())
    assert callback.named == {} and set(callback.noted) == {"finished"}
    assert "left: of the last 102 batches none had a loss above 0" in callback.noted["finished"]


def test_no_active_triplets_left_is_named_where_classes_are_not(tmp_path):
    """A miner that has nothing more to show, over an embedding that has learned nothing."""

    class NeverAny(RandomHardNegative):
        def forward(self, distances, pairs):
            return super().forward(distances, pairs._replace(negative=torch.zeros_like(pairs.negative)))

    model = module(Blind(4), TripletMarginLoss(0.1, miner=NeverAny()), metrics=[])
    assert diagnosed(tmp_path / "few", model, max_epochs=4) == {}  # 12 batches are too few to tell
    named = diagnosed(tmp_path, model, max_epochs=36)
    assert set(named) == {"nothing_active"}
    assert "use a harder miner, a larger margin or larger batches" in named["nothing_active"]


def test_batches_are_counted_back_until_they_are_enough():
    progress = Progress()
    for active in (50, 30, 1, 0):
        for batch in range(60):
            progress.count(torch.tensor(float(batch < active)))
        progress.next()
    assert progress.active_of() == (1, 120)
    for _ in range(100):
        progress.count(torch.zeros(()))
    assert progress.active_of() == (0, 100)


def test_a_batch_without_active_triplets_among_others_is_none(tmp_path):
    """The last batch of each epoch costs nothing, and it is the one that is logged."""

    class NowAndThen(TripletMarginLoss):
        def terms(self, *arguments):
            self.calls = getattr(self, "calls", -1) + 1
            terms = super().terms(*arguments)
            return (
                terms
                if self.calls % 3 < 2
                else {name: part._replace(total=0 * part.total) for name, part in terms.items()}
            )

    callback = CollapseDiagnosis()
    run = trainer(tmp_path, [callback], max_epochs=36, log_every_n_steps=3)
    run.fit(module(Blind(4), NowAndThen(1.0), lr=0.0, metrics=[]), datamodule=Quarters())
    assert float(run.callback_metrics["train/loss"]) == 0 and callback.named == callback.noted == {}


def test_a_line_in_many_dimensions_is_named():
    embeddings = torch.randn(60, 1) * torch.ones(1, 8) + 1e-3 * torch.randn(60, 8)
    labels = torch.arange(60) % 6
    health = health_of(embeddings, labels, torch.cdist(embeddings, embeddings))
    seen = Observation(health, dimensions=8, classes=6, scale=1.0, loss=0.5, active=0.5)
    assert "it uses 1.0" in few_dimensions(seen)
    assert few_dimensions(seen._replace(classes=2)) is None  # two classes need no more than a line
    spread = torch.randn(60, 8)
    assert few_dimensions(seen._replace(health=health_of(spread, labels, torch.cdist(spread, spread)))) is None


def test_a_divergence_is_named_at_once(tmp_path):
    callback = CollapseDiagnosis()
    model = EmbeddingModule(NotFinite(), TripletMarginLoss(), lambda p: torch.optim.SGD(p, lr=0.0), metrics=[])
    trainer(tmp_path, [callback]).fit(model, datamodule=Quarters())
    assert set(callback.named) == {"diverged"}


@pytest.mark.parametrize("every", [1, 50])  # steps are logged before validation, or none is
@pytest.mark.parametrize("lr", [1e3, 1e9])  # validation embeddings overflow, or weights are nan
def test_a_divergence_is_named_before_default_metrics_end_the_run(tmp_path, caplog, lr, every):
    callback = CollapseDiagnosis()
    run = trainer(tmp_path, [callback], log_every_n_steps=every, max_epochs=3)
    with pytest.raises(ValueError, match="aren't finite: .*lower the learning rate, or clip gradients"):
        run.fit(module(Linear(16), ContrastiveLoss(1.0), lr=lr * 1e9), datamodule=Quarters())
    assert set(callback.named) == {"diverged"} and "trainer.gradient_clip_val" in callback.named["diverged"]
    assert len([record for record in caplog.records if "diverged" in record.message]) == 1


@pytest.mark.parametrize("every", [1, 50])
def test_a_divergence_is_named_without_validation_data(tmp_path, caplog, every):
    callback = CollapseDiagnosis()
    run = trainer(tmp_path, [callback], log_every_n_steps=every, max_epochs=2)
    run.fit(module(Linear(16), ContrastiveLoss(1.0), lr=1e18), datamodule=Quarters(validation_size=0))
    assert set(callback.named) == {"diverged"}
    assert len([record for record in caplog.records if "diverged" in record.message]) == 1


def test_a_small_embedding_that_tells_classes_apart_is_none(tmp_path):
    network = Corners(4)
    network.build((1, 6, 4))
    with torch.no_grad():
        network.layers[1].weight.mul_(1e-4)
    assert diagnosed(tmp_path, module(network, lr=0.0)) == {}


def test_a_condition_that_ceases_is_told(tmp_path, caplog):
    class Recovers(Blind):
        def forward(self, inputs):
            return super().forward(inputs) * (1e-6 if run.current_epoch < 3 else 10.0)

    run = trainer(tmp_path, [CollapseDiagnosis()], max_epochs=7)
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        run.fit(module(Recovers(), lr=0.0), datamodule=Quarters())
    said = [record.message for record in caplog.records if record.name == "lightning.pytorch.metric_lightning"]
    assert [sentence.split(":")[0] for sentence in said] == ["After 3 epochs", "After 6 epochs"]
    assert said[1] == "After 6 epochs: no longer collapsed."


def test_a_healthy_run_is_silent(tmp_path):
    assert diagnosed(tmp_path, module(Linear(3)), max_epochs=8) == {}


def real_run(tmp_path, miner, epochs: int, seed: int) -> dict[str, str]:
    torch.manual_seed(seed)
    model = EmbeddingModule(
        EmbeddingNet(embedding_dim=2),
        TripletMarginLoss(1.0, miner=miner),
        lambda parameters: torch.optim.Adam(parameters, lr=1e-3, weight_decay=1e-4),
    )
    data = MNIST5k(
        BalancedBatches(n_classes=10, n_samples=25), SampleSplit(validation_size=400, test_size=3600), seed=seed
    )
    callback = CollapseDiagnosis()
    logger = TensorBoardLogger(tmp_path, name="run", version=seed, default_hp_metric=False)
    trainer(tmp_path, [callback], max_epochs=epochs, logger=logger).fit(model, datamodule=data)
    return callback.named


@pytest.mark.slow
def test_the_hardest_negatives_collapse_on_mnist_and_random_hard_ones_do_not(tmp_path):
    assert set(real_run(tmp_path, HardestNegative(), epochs=8, seed=0)) == {"collapsed"}
    assert real_run(tmp_path, RandomHardNegative(), epochs=8, seed=1) == {}


def test_measures_against_loops():
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0])
    embeddings = torch.randn(8, 3, generator=generator, dtype=torch.float64) + labels[:, None]
    distances = torch.cdist(embeddings, embeddings)
    found = health_of(embeddings, labels, distances)
    mean = embeddings.mean(0)
    positive, negative = [], []
    for i in range(8):
        for j in range(i):
            (positive if labels[i] == labels[j] else negative).append(float((embeddings[i] - embeddings[j]).norm()))
    assert found.norm == pytest.approx(math.sqrt(sum(float(e @ e) for e in embeddings) / 8))
    total = sum(float((e - mean) @ (e - mean)) for e in embeddings) / 8
    assert found.spread == pytest.approx(math.sqrt(total))
    centres = [embeddings[labels == k].mean(0) for k in range(3)]
    between = sum(float((centres[k] - mean) @ (centres[k] - mean)) for k in labels.tolist()) / 8
    assert found.class_share == pytest.approx(between / total)
    assert found.positive_distance == pytest.approx(sum(positive) / len(positive))
    assert found.negative_distance == pytest.approx(sum(negative) / len(negative))
    wrong = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    assert found.overlap == pytest.approx(wrong / len(positive) / len(negative))
    covariance = (embeddings - mean).T @ (embeddings - mean)
    values = [math.sqrt(value) for value in torch.linalg.eigvalsh(covariance).tolist()]
    shares = [value / sum(values) for value in values]
    assert found.effective_rank == pytest.approx(math.exp(-sum(s * math.log(s) for s in shares)))
    counts = [0] * 8
    for i in range(8):
        for j in sorted((j for j in range(8) if j != i), key=lambda j: float(distances[i, j]))[:5]:
            counts[j] += 1
    mean_count = sum(counts) / 8
    second, third = (sum((c - mean_count) ** k for c in counts) / 8 for k in (2, 3))
    assert found.hubness == pytest.approx(third / second**1.5)


def test_pairs_at_equal_distances_count_half():
    labels = torch.tensor([0, 0, 1, 1])
    assert health_of(torch.randn(4, 2), labels, torch.ones(4, 4)).overlap == 0.5


def test_measures_of_degenerate_sets_are_nan_not_errors():
    for embeddings, labels in ((torch.zeros(3, 2), torch.tensor([0, 0, 1])), (torch.ones(1, 2), torch.tensor([0]))):
        found = health_of(embeddings, labels, torch.cdist(embeddings, embeddings))
        assert found.spread == 0 and math.isnan(found.effective_rank) and math.isnan(found.hubness)
    assert math.isnan(health_of(torch.randn(4, 2), torch.zeros(4).long(), torch.rand(4, 4)).overlap)


@pytest.mark.parametrize("bad", [{"patience": 0}, {"max_points": 1}])
def test_bad_arguments_are_named(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be at least"):
        CollapseDiagnosis(**bad)


def test_another_kind_of_module_is_refused_in_one_sentence(tmp_path):
    class Other(LightningModule):
        pass

    with pytest.raises(ValueError, match="CollapseDiagnosis needs a MetricModule.*got Other"):
        CollapseDiagnosis().setup(None, Other(), "fit")


class Saturated(Blind):
    """Units at one end or the other of a tanh, where it is flat."""

    def forward(self, inputs):
        return torch.tanh(1e6 * super().forward(inputs))


class Growing(Linear):
    """Gets 1.3 times as long with each training step."""

    scale = 1.0

    def forward(self, inputs):
        self.scale *= 1.3 if self.training else 1.0
        return self.scale * super().forward(inputs)


class Star(Linear):
    """Almost all samples in directions of their own, a few in the middle: the nearest of all."""

    def forward(self, inputs):
        directions = torch.sin(1e4 * super().forward(inputs))
        middle = torch.sin(1e4 * inputs.sum((1, 2, 3)))[:, None] > 0.9995
        return directions * ~middle + 0 * directions.sum()


class ManyQuarters(Quarters):
    def load(self):
        return ArrayDataset(*images(900), NAMES, mean=0.3, std=0.2), None


def test_a_gradient_that_has_vanished_is_named(tmp_path):
    named = diagnosed(tmp_path, module(Saturated(8)))
    assert set(named) == {"no_gradient"}
    assert named["no_gradient"].startswith("The gradient has vanished: its norm is 0 while the loss stands at ")


def test_embeddings_that_grow_without_end_are_named(tmp_path):
    named = diagnosed(tmp_path, module(Growing(3), ContrastiveLoss(), lr=0.0), max_epochs=8)
    assert set(named) == {"growing_norm"} and "normalise them" in named["growing_norm"]


def test_length_that_has_settled_is_no_growth():
    seen = Observation(None, 2, 10, 1.0, 0.5, 0.5, 1.0, norms=(1.0, 20.0, 40.0, 60.0, 80.0))
    assert growing_norm(seen) is not None
    assert growing_norm(seen._replace(norms=(*seen.norms, 82.0, 83.0, 84.0))) is None


def test_everyones_neighbours_are_named(tmp_path):
    callback = CollapseDiagnosis(max_points=600)
    data = ManyQuarters(validation_size=600, test_size=40)
    trainer(tmp_path, [callback], max_epochs=4).fit(module(Star(64), lr=0.0), datamodule=data)
    assert set(callback.named) == {"hubs"} and "hubness" in callback.named["hubs"]


def test_the_gradients_norm_is_logged(tmp_path):
    run = trainer(tmp_path, [CollapseDiagnosis()], max_epochs=1)
    run.fit(module(), datamodule=Quarters())
    tensorboard_writer(run).close()
    steps, norms = read_scalars(Path(run.log_dir))["train/gradient_norm"]
    assert len(steps) == run.global_step and all(norm > 0 for norm in norms)

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from metric_lightning.callbacks import DistanceFigures, EmbeddingFilm, Galleries, LearningCurveFigure
from metric_lightning.callbacks.events import read_scalars
from metric_lightning.callbacks.galleries import _worst_and_middling
from metric_lightning.callbacks.hard_cases import hardest_triplets, worst_queries
from metric_lightning.callbacks.learning_curve_figure import panels_of
from metric_lightning.callbacks.run_folder import tensorboard_writer
from tests.callbacks.small import Linear, Quarters, folder_of, module, trainer


def figures(tmp_path) -> set[str]:
    return {path.name for path in (folder_of(tmp_path) / "figures").iterdir()}


def test_distances_and_galleries_are_drawn_of_both_stages(tmp_path):
    model, data = module(), Quarters()
    run = trainer(tmp_path, [DistanceFigures(), Galleries(rows=3, neighbours=4)])
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    kinds = ("distances", "classes", "hardest", "retrieval")
    assert figures(tmp_path) == {f"{kind}_{stage}.png" for kind in kinds for stage in ("val", "test")}
    for path in (folder_of(tmp_path) / "figures").iterdir():
        assert np.asarray(Image.open(path)).std() > 5, path
    tensorboard_writer(run).close()


def test_without_images_that_is_said_once(tmp_path, caplog):
    data = Quarters()
    data.setup()
    train, val = (DataLoader(part, 16, collate_fn=lambda batch: batch) for part in (data.train_set, data.val_set))
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        run = trainer(tmp_path, [Galleries(every_n_epochs=1), DistanceFigures()], max_epochs=2)
        model = module()
        model.build(4, data.input_shape)
        run.fit(model, train_dataloaders=train, val_dataloaders=val)
    assert caplog.text.count("Galleries draws nothing") == 1
    assert figures(tmp_path) == {"distances_val.png", "classes_val.png"}


def test_a_validation_set_of_one_class_is_no_ground_for_distances(tmp_path, caplog):
    model = module()
    run = trainer(tmp_path, [DistanceFigures()])
    data = Quarters()
    data.setup()
    data.val_set = data.val_set.subset((data.val_set.labels == 1).nonzero()[:, 0])
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        run.fit(model, datamodule=data)
    assert "DistanceFigures draws nothing" in caplog.text


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_the_film_has_a_frame_an_epoch_at_most_so_many(tmp_path, dimensions):
    model = module(Linear(dimensions), lr=0.1)
    run = trainer(tmp_path, [EmbeddingFilm(max_frames=3)], max_epochs=7)
    run.fit(model, datamodule=Quarters())
    assert 2 <= Image.open(folder_of(tmp_path) / "figures" / "embedding.gif").n_frames <= 3


@pytest.mark.parametrize(
    "options, said", [({}, "no validation samples"), ({"logger": False, "enable_checkpointing": False}, "no logger")]
)
def test_a_film_that_is_not_made_is_missed_aloud(tmp_path, caplog, options, said):
    with caplog.at_level("INFO", logger="lightning.pytorch.metric_lightning"):
        trainer(tmp_path, [EmbeddingFilm()], **options).fit(module(), datamodule=Quarters(validation_size=0))
    assert caplog.text.count(f"EmbeddingFilm writes nothing: {said}" if not options else said) == 1


def test_curves_of_a_hinge_show_its_margin(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "metric_lightning.callbacks.learning_curve_figure.write_figure",
        lambda trainer, name, figure: drawn.append(figure),
    )
    trainer(tmp_path, [LearningCurveFigure()]).fit(module(), datamodule=Quarters())
    axis = drawn[0].axes[0]
    assert any(list(line.get_ydata()) == [1.0, 1.0] for line in axis.lines)
    assert "all in one point: 1" in [text.get_text() for text in axis.get_legend().get_texts()]


def test_curves_go_on_over_a_resume(tmp_path):
    first = trainer(tmp_path, [LearningCurveFigure()], max_epochs=2)
    first.fit(module(), datamodule=Quarters())
    again = trainer(tmp_path, [LearningCurveFigure()], max_epochs=4)
    again.fit(module(), datamodule=Quarters(), ckpt_path=first.checkpoint_callback.best_model_path)
    scalars = read_scalars(folder_of(tmp_path))
    assert len(scalars["val/precision_at_1"][0]) == 4
    assert set(panels_of(scalars)) == {"loss of the training batch", "share (0..1)"}
    assert figures(tmp_path) == {"curves.png"}
    assert panels_of({}) == {} and read_scalars(tmp_path) == {}


def test_queries_of_the_middle_stand_below_the_worst(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "metric_lightning.callbacks.galleries.write_figure", lambda trainer, name, figure: drawn.update({name: figure})
    )
    trainer(tmp_path, [Galleries(rows=8)], max_epochs=3).fit(module(), datamodule=Quarters())
    figure = drawn["retrieval_val"]
    assert "Worst queries, then 2 of the middle, among training samples" in figure.get_suptitle().replace("\n", " ")
    frames = figure.axes[0].patches
    assert len(frames) == 8 * 8
    assert all(frame.get_linestyle() == "solid" for frame in frames[-16:]), "this run has learned its four classes"


@pytest.mark.parametrize(("count", "rows"), [(0, 8), (3, 8), (8, 8), (9, 8), (100, 8), (100, 1)])
def test_no_query_is_shown_twice(count, rows):
    chosen, middling = _worst_and_middling(count, rows)
    assert len(set(chosen)) == min(count, rows) and all(0 <= place < count for place in chosen)
    assert chosen[: len(chosen) - middling] == list(range(len(chosen) - middling))


def test_hardest_triplets_against_loops():
    points, labels = torch.randn(12, 2), torch.arange(12) % 3
    labels[0] = 7  # without a positive
    distances = torch.cdist(points, points)
    found = hardest_triplets(distances, labels, 12)
    hardness, last, used = {}, torch.inf, set()
    for a in range(1, 12):
        far = max((p for p in range(12) if p != a and labels[p] == labels[a]), key=lambda p: float(distances[a, p]))
        near = min((n for n in range(12) if labels[n] != labels[a]), key=lambda n: float(distances[a, n]))
        hardness[a] = (far, near, float(distances[a, far] - distances[a, near]))
    for a, p, n in zip(*(column.tolist() for column in found), strict=True):
        assert hardness[a][:2] == (p, n) and hardness[a][2] <= last
        assert not {a, p} & used
        last = hardness[a][2]
        used |= {a, p}
    best = max(hardness, key=lambda a: hardness[a][2])
    assert int(found.anchor[0]) == best
    assert len(hardest_triplets(distances, torch.zeros(12).long(), 5).anchor) == 0  # without a negative


def test_worst_queries_come_first_and_unanswerable_ones_never():
    points, items = torch.tensor([[0.0], [5.0], [10.0]]), torch.tensor([[0.1], [0.2], [4.9], [9.0], [10.5]])
    labels, item_labels = torch.tensor([0, 1, 9]), torch.tensor([0, 0, 0, 1, 1])
    found = worst_queries(torch.cdist(points, items), labels, item_labels, k=3, most=5)
    assert found.query.tolist() == [1, 0]
    assert found.items[0].tolist() == [2, 3, 1] and found.right[0].tolist() == [False, True, False]
    assert worst_queries(torch.cdist(points, items), labels, item_labels, k=99, most=1).items.shape == (1, 5)


def test_samples_keep_the_worst_query_of_equals_first():
    distances = torch.tensor([[1.0, 2.0], [1.0, 5.0]])
    found = worst_queries(distances, torch.tensor([1, 1]), torch.tensor([0, 1]), k=1, most=2)
    assert found.query.tolist() == [1, 0]


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: DistanceFigures(max_points=1), "max_points"),
        (lambda: Galleries(rows=0), "rows"),
        (lambda: Galleries(neighbours=0), "neighbours"),
        (lambda: EmbeddingFilm(max_frames=1), "max_frames"),
        (lambda: EmbeddingFilm(max_points=0), "max_points"),
    ],
)
def test_bad_arguments_are_named(make, name):
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        make()

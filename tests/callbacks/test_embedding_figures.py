import re

import numpy as np
import pytest
from PIL import Image

from metric_lightning.callbacks import EmbeddingFigures
from metric_lightning.callbacks.run_folder import tensorboard_writer
from tests.callbacks.small import Linear, Quarters, folder_of, module, trainer
from tests.callbacks.tensorboard_server import tensorboard


def picture(tmp_path, name: str) -> np.ndarray:
    return np.asarray(Image.open(folder_of(tmp_path) / "figures" / name))


def shows_something(image: np.ndarray) -> bool:
    """Colours of at least three classes, each on some pixels."""
    colours, counts = np.unique(image.reshape(-1, 3)[::3], axis=0, return_counts=True)
    vivid = colours.max(1).astype(int) - colours.min(1) > 60
    return bool(vivid.sum() >= 3 and counts[vivid].sum() > 30)


@pytest.mark.parametrize("dimensions, kind", [(1, "embedding"), (2, "embedding"), (3, "tsne")])
def test_figures_are_in_the_run_folder_and_in_tensorboard(tmp_path, dimensions, kind):
    model, data = module(Linear(dimensions)), Quarters()
    run = trainer(tmp_path, [EmbeddingFigures()])
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    tensorboard_writer(run).close()
    for stage in ("val", "test"):
        assert shows_something(picture(tmp_path, f"{kind}_{stage}.png"))
    with tensorboard(tmp_path) as server:
        tags = server.wait_for(lambda: server.json("plugin/images/tags").get("run/version_0"))
        assert set(tags) == {f"figures/{kind}_val", f"figures/{kind}_test"}
        shown = server.json("plugin/images/images", run="run/version_0", tag=f"figures/{kind}_test", sample="0")
        assert len(shown) == 1 and shown[0]["step"] == run.global_step


def test_every_k_epochs_on_request(tmp_path):
    run = trainer(tmp_path, [EmbeddingFigures(every_n_epochs=1)], max_epochs=3)
    run.fit(module(), datamodule=Quarters())
    tensorboard_writer(run).close()
    with tensorboard(tmp_path) as server:
        server.wait_for(lambda: server.json("plugin/images/tags").get("run/version_0"))
        shown = server.json("plugin/images/images", run="run/version_0", tag="figures/embedding_val", sample="0")
    assert len(shown) == 3


def test_without_validation_samples_training_samples_are_drawn(tmp_path):
    trainer(tmp_path, [EmbeddingFigures()]).fit(module(Linear(3)), datamodule=Quarters(validation_size=0))
    assert shows_something(picture(tmp_path, "tsne_val.png"))


def test_a_collapsed_embedding_is_drawn_all_the_same(tmp_path):
    for dimensions in (2, 4):
        trainer(tmp_path, [EmbeddingFigures()]).fit(
            module(Linear(dimensions, zero=True), lr=0.0), datamodule=Quarters()
        )
    assert {path.name for path in (folder_of(tmp_path) / "figures").iterdir()} == {"embedding_val.png", "tsne_val.png"}


def test_the_number_of_points_is_bounded(tmp_path, monkeypatch):
    drawn = []
    target = "metric_lightning.callbacks.embedding_figures.embedding_scatter"
    original = __import__("metric_lightning.plots", fromlist=["x"]).embedding_scatter
    monkeypatch.setattr(target, lambda parts, *rest: drawn.append(parts) or original(parts, *rest))
    trainer(tmp_path, [EmbeddingFigures(max_points=8)]).fit(module(), datamodule=Quarters())
    (parts,) = drawn
    assert list(parts) == ["training set (8 samples)", "validation set (8 samples)"]
    for points in parts.values():
        assert points.labels.bincount().tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("name", ["max_points", "max_tsne_points", "every_n_epochs"])
def test_bad_arguments_are_named(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1.*got 0"):
        EmbeddingFigures(**{name: 0})


def test_umap_in_place_of_tsne(tmp_path):
    pytest.importorskip("umap", reason="the extra `umap` is not installed")
    trainer(tmp_path, [EmbeddingFigures(projection="umap")]).fit(module(Linear(3)), datamodule=Quarters())
    assert shows_something(picture(tmp_path, "umap_val.png"))


def test_an_unknown_projection_is_refused():
    with pytest.raises(ValueError, match="one of tsne, umap"):
        EmbeddingFigures(projection="pca")


@pytest.mark.parametrize(
    "zero, said", [(True, r"; its corners lie \S+ margins apart \(Euclidean distance\)"), (False, "")]
)
def test_a_picture_smaller_than_the_margin_says_so(tmp_path, monkeypatch, zero, said):
    titles = []
    monkeypatch.setattr(
        "metric_lightning.callbacks.embedding_figures.write_figure",
        lambda trainer, name, figure: titles.append(figure.get_suptitle()),
    )
    model = module(Linear(2, zero=zero), lr=0.0)
    trainer(tmp_path, [EmbeddingFigures()]).fit(model, datamodule=Quarters())
    (title,) = titles
    assert re.fullmatch(f"Embedding by class, after epoch 1{said}", title.replace("\n", " "))

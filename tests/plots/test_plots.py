import numpy as np
import pytest
import torch

from metric_lightning.plots import Points, embedding_scatter, pixels, tsne_figure, tsne_positions
from metric_lightning.plots.palette import look
from metric_lightning.plots.scatter import limits_of

NAMES = [f"class {k}" for k in range(12)]


def clusters(n: int = 120, dimensions: int = 2, classes: int = 12, offset: float = 10.0) -> Points:
    labels = torch.arange(n) % classes
    return Points(torch.randn(n, dimensions) + offset * torch.randn(classes, dimensions)[labels], labels)


def texts(figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_every_class_has_its_name_at_its_median_and_both_panels_the_same_square():
    parts = {"train": clusters(), "test": clusters()}
    figure = embedding_scatter(parts, NAMES, "Title")
    left, right = figure.axes
    assert left.get_xlim() == right.get_xlim() and left.get_ylim() == right.get_ylim()
    assert np.diff(left.get_xlim()) == pytest.approx(np.diff(left.get_ylim()))
    assert texts(figure) == NAMES * 2
    for axis, points in zip(figure.axes, parts.values(), strict=True):
        drawn = sum(len(collection.get_offsets()) for collection in axis.collections)
        assert drawn == len(points.labels)
        for label, text in enumerate(axis.texts):
            median = points.positions[points.labels == label].median(0).values
            assert text.xy == pytest.approx(tuple(median.tolist()))
    assert "units of distance" in left.get_xlabel() and figure.get_suptitle() == "Title"


def test_names_are_shown_letter_by_letter():
    points = Points(torch.randn(8, 2), torch.arange(8) % 4)
    figure = embedding_scatter({"$": points}, ["$x$", "_y", "a\tb", "c\nd"])
    pixels(figure)  # a formula that isn't one would raise
    assert texts(figure) == [r"\$x\$", " _y", "a b", "c d"]


def test_points_that_are_not_finite_are_left_out_and_counted():
    points = clusters()
    points.positions[3, 0], points.positions[5, 1] = torch.nan, torch.inf
    figure = embedding_scatter({"train": points}, NAMES)
    assert figure.axes[0].get_title() == "train, 2 not finite"
    pixels(figure)


def test_many_classes_have_no_legend_and_names_that_cover_no_other():
    points = clusters(n=500, classes=100, offset=0.01)
    figure = embedding_scatter({"train": points}, [str(k) for k in range(100)])
    assert 0 < len(texts(figure)) < 60 and not figure.legends


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_points_are_drawn(n):
    points = Points(torch.zeros(n, 2), torch.zeros(n).long())
    assert pixels(embedding_scatter({"train": points}, NAMES)).std() > 0


def test_embeddings_of_more_dimensions_are_refused():
    with pytest.raises(ValueError, match="3 dimensions.*tsne_figure"):
        embedding_scatter({"train": clusters(dimensions=3)}, NAMES)


def test_figures_leave_pyplot_alone():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure = embedding_scatter({"train": clusters()}, NAMES)
    assert pixels(figure).shape[2] == 3 and plt.get_fignums() == before


def test_looks_differ_for_seventy_classes():
    assert len({look(label) for label in range(70)}) == 70
    assert all(look(k).colour != look(k + 1).colour and look(k).marker != look(k + 1).marker for k in range(69))


def test_the_square_holds_all_points():
    clouds = [torch.randn(20, 2) * torch.tensor([1.0, 9.0]), torch.randn(5, 2) + 4]
    left, bottom, side = limits_of(clouds)
    points = torch.cat(clouds)
    assert (points > torch.tensor([left, bottom])).all() and (points < torch.tensor([left, bottom]) + side).all()
    assert limits_of([torch.zeros(0, 2)]).side == 1.0


def test_tsne_keeps_clusters_apart_and_repeats_itself():
    points = clusters(n=120, dimensions=20, classes=4)
    first, again = tsne_positions(points.positions, seed=1), tsne_positions(points.positions, seed=1)
    assert torch.equal(first, again)
    distances = torch.cdist(first, first).fill_diagonal_(torch.inf)
    assert (points.labels[distances.argmin(1)] == points.labels).float().mean() > 0.95


@pytest.mark.parametrize(
    "samples", [torch.zeros(40, 3), torch.randn(40, 1), 1e-20 * torch.randn(40, 3), torch.randn(2, 5)]
)
def test_tsne_of_degenerate_samples_is_finite(samples):
    positions = tsne_positions(samples)
    assert positions.shape == (len(samples), 2) and torch.isfinite(positions).all()


def test_tsne_figure_has_inputs_beside_embedding():
    points = clusters()
    both = tsne_figure(points.positions, points.positions, points.labels, NAMES)
    assert [axis.get_title() for axis in both.axes] == ["raw inputs", "embedding"]
    alone = tsne_figure(None, points.positions, points.labels, NAMES)
    assert [axis.get_title() for axis in alone.axes] == ["embedding"]

import io

import numpy as np
import pytest
import torch
from PIL import Image

from metric_lightning.plots import (
    Picture,
    animated_gif,
    class_confusion,
    class_distances_figure,
    gallery_figure,
    learning_curves,
    pixels,
    verification_figure,
)


def test_the_histograms_hold_all_pairs_and_the_titles_the_figures():
    same = torch.arange(400) % 4 == 0
    distances = (torch.rand(400) * 20 + 10 * ~same).round()  # with ties
    figure = verification_figure(distances, same, "Title", "metres")
    left, right = figure.axes
    same_distances, others = distances[same][:, None], distances[~same][None]
    wrong = ((same_distances > others).double() + (same_distances == others).double() / 2).mean()
    assert left.get_title().startswith(f"overlap {wrong:.3f}")
    assert right.get_title() == f"ROC curve, area {1 - wrong:.3f}"
    assert "metres" in left.get_xlabel() and "100 pairs" in left.get_legend().get_texts()[0].get_text()
    curve = right.lines[0]
    for rate, accept in list(zip(*curve.get_data(), strict=True))[::50]:
        # The largest share of same pairs within a threshold that lets at most this share of others pass.
        thresholds = [t for t in distances.tolist() if (distances[~same] <= t).double().mean() <= rate]
        assert accept == pytest.approx(float((distances[same] <= max(thresholds, default=-1)).double().mean()))
    pixels(figure)


@pytest.mark.parametrize(
    "largest, said", [(20.0, "the loss's margin, 2"), (1e-6, "the loss's margin, 2: outside, 2e+06 times the largest")]
)
def test_the_margin_is_drawn_or_said_to_lie_outside(largest, said):
    figure = verification_figure(torch.linspace(0, largest, 40), torch.arange(40) < 12, "Title", "metres", margin=2.0)
    left, right = figure.axes
    assert any(text.get_text().startswith(said) for text in left.get_legend().get_texts())
    assert any(list(line.get_xdata()) == [2.0, 2.0] for line in left.lines) == (largest > 2)
    pixels(figure)
    for axis in (left, right):  # no legend over a curve, nor one that leaves it no room
        assert axis.get_legend().get_window_extent().y1 <= axis.get_window_extent().y0
        assert axis.get_window_extent().width > 400


def test_close_pairs_of_a_class_are_more_than_a_sliver():
    same = torch.arange(2000) % 4 == 0
    distances = torch.where(same, torch.rand(2000), 5 + 200 * torch.rand(2000))
    figure = verification_figure(distances, same, "Title", "metres")
    axis = figure.axes[0]
    assert axis.get_xlabel() == "distance (metres; axis in square roots)"
    corners = axis.patches[0].get_xy()
    left, right = axis.transData.transform([(0, 0), (float(distances[same].max()), 0)])[:, 0]
    assert right - left > 25, "pixels; a linear axis has 2"
    assert corners[:, 1].max() < 0.5, "several bins share them"
    pixels(figure)
    ticks = [label.get_window_extent() for label in axis.get_xticklabels()]
    assert len(ticks) > 4 and all(one.x1 < other.x0 for one, other in zip(ticks, ticks[1:], strict=False))
    near = verification_figure(distances.clamp_max(3), same, "Title", "metres").axes[0]
    assert near.get_xlabel() == "distance (metres)"


def test_equal_distances_are_drawn_and_one_kind_of_pairs_is_refused():
    pixels(verification_figure(torch.zeros(4), torch.tensor([True, True, False, False])))
    with pytest.raises(ValueError, match="both kinds are needed"):
        verification_figure(torch.rand(3), torch.ones(3, dtype=torch.bool))


def test_class_confusion_against_loops():
    labels = torch.tensor([0, 0, 2, 2, 2, 3])
    embeddings = torch.randn(6, 3, dtype=torch.float64)
    found = class_confusion(embeddings, labels, 5)
    for i in range(5):
        for j in range(5):
            parts = [embeddings[labels == k] for k in (i, j)]
            if i == j or not all(map(len, parts)):
                assert found[i, j].isnan()
                continue
            means = [part.mean(0) for part in parts]
            radii = [(part - mean).square().sum(1).mean() for part, mean in zip(parts, means, strict=True)]
            assert found[i, j] == pytest.approx(float((means[0] - means[1]).norm() / (sum(radii) / 2).sqrt()))


def test_of_many_classes_the_closest_are_mapped():
    labels = torch.arange(400) % 100
    embeddings = torch.stack([labels.float() * 100, torch.randn(400)], 1)
    embeddings[labels == 7, 0] = 811.0  # close to class 8
    figure = class_distances_figure(class_confusion(embeddings, labels, 100), [f"c{k}" for k in range(100)])
    assert "the 40 classes" in figure.get_suptitle()
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert len(names) == 40 and {"c7", "c8"} <= set(names)
    pixels(figure)


def test_a_gallery_frames_right_and_wrong():
    image = torch.randint(0, 256, (3, 6, 4), dtype=torch.uint8)
    rows = [[Picture(image, "$q$"), Picture(image, "a", True), Picture(image, "b", False)], [Picture(image, "c")]]
    figure = gallery_figure(rows, ["query", "1", "2"], "Title")
    (axis,) = figure.axes
    assert len(axis.images) == 4
    assert [patch.get_linestyle() for patch in axis.patches] == ["solid", "--"]
    pixels(figure)
    with pytest.raises(ValueError, match="rows"):
        gallery_figure([], ["query"], "Title")


def test_curves_hold_their_values():
    figure = learning_curves({"loss": {"train": ([1, 2], [3.0, 4.0])}, "share": {"a": ([0], [1.0]), "b": ([], [])}})
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == [3.0, 4.0] and len(right.lines) == 2
    pixels(figure)
    with pytest.raises(ValueError, match="panels"):
        learning_curves({})


def test_a_film_has_all_frames_and_their_times():
    frames = [np.full((8, 8, 3), grey, dtype=np.uint8) for grey in (0, 60, 120, 60)]
    film = Image.open(io.BytesIO(animated_gif(frames, 0.1, 1.0)))
    assert film.n_frames == 4 and film.info["loop"] == 0
    shown, times = [], []
    for place in range(4):
        film.seek(place)
        shown.append(int(np.asarray(film.convert("RGB")).mean()))
        times.append(film.info["duration"])
    assert times == [100, 100, 100, 1000]
    assert shown == pytest.approx([0, 60, 120, 60], abs=2)
    with pytest.raises(ValueError, match="frames"):
        animated_gif([])


def test_a_loss_that_stands_still_does_not_look_as_if_it_fell():
    flat = learning_curves({"loss": {"a": ([0, 1], [1.00004, 1.0])}}).axes[0]
    low, high = flat.get_ylim()
    assert high - low == pytest.approx(0.05, rel=0.01)
    low, high = learning_curves({"loss": {"a": ([0, 1], [2.0, 1.0])}}).axes[0].get_ylim()
    assert 1.0 < high - low < 1.2

"""The picture of two runs tells them apart."""

import io

import pytest
import torch
from PIL import Image

from experiments.harness.pictures import small_png
from experiments.seeing_pictures import PairDistances, two_runs
from metric_lightning.plots import pixels


def test_both_runs_stand_on_one_axis_with_their_figures():
    same = torch.arange(300) % 3 == 0
    healthy = PairDistances(torch.where(same, 0.1, 9.0) * (1 + torch.rand(300)), same)
    collapsed = PairDistances(torch.rand(300) * 1e-6, same)
    figure = two_runs(healthy, collapsed)
    left, middle, right = figure.axes
    assert left.get_xlim() == middle.get_xlim() and left.get_xscale() == "log"
    for axis, pairs, name in ((left, healthy, "healthy"), (middle, collapsed, "collapsed")):
        assert axis.get_title().startswith(name)
        inside = [line for line in axis.lines if list(line.get_xdata()) == [1.0, 1.0]]
        assert len(inside) == 1 and float(pairs.distances.max()) < axis.get_xlim()[1]
    wins = collapsed.distances[same][:, None] < collapsed.distances[~same][None]
    assert [text.get_text() for text in right.get_legend().get_texts()][:2] == [
        "healthy, area 1.000",
        f"collapsed, area {wins.double().mean():.3f}",
    ]
    assert pixels(figure).std() > 5


def test_a_small_picture_keeps_its_size_and_looks():
    made = Image.open(io.BytesIO(small_png(Image.new("RGB", (40, 30), (10, 200, 30))))).convert("RGB")
    assert made.size == (40, 30) and made.getpixel((5, 5)) == pytest.approx((10, 200, 30), abs=3)

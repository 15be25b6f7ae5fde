from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.harness.pictures import scatter_grid
from metric_lightning.plots import pixels


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    labels = torch.arange(60) % 3
    apart = 5 * torch.randn(3, 2)[labels] + torch.randn(60, 2)
    together = 0.01 + 1e-4 * torch.randn(60, 2)
    found = {}
    for name, points in {"healthy_one": apart, "online_contrastive_hard_negative_pairs": together}.items():
        arrays = {"train": points, "test": points, "train_labels": labels, "test_labels": labels}
        found[name] = tmp_path / f"{name}.npz"
        np.savez(found[name], class_names=["a", "b", "c"], **{key: value.numpy() for key, value in arrays.items()})
    return found


def test_a_collapsed_method_is_marked_and_titles_keep_to_their_panel(files):
    figure = scatter_grid(files, "Title")
    pixels(figure)
    assert [": collapsed" in axis.get_title() for axis in figure.axes] == [False, False, True, True]
    left, right = figure.axes[2:]
    assert left.title.get_window_extent().x1 < right.title.get_window_extent().x0
    boxes = [text.get_window_extent() for text in right.texts]
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])
    assert "each method on axes of its own" in figure.get_suptitle().replace("\n", " ")

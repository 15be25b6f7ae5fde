"""Pictures with several labels each: from a table, by YAML, to a loss that looks at labels."""

from pathlib import Path

import pytest
import torch

from metric_lightning.cli import main
from metric_lightning.data import ImageTable
from metric_lightning.errors import UserError
from metric_lightning.losses import ContrastiveLoss
from metric_lightning.relevance import HierarchicalLabels, LabelsByClass, MultiLabel
from tests.data.digit_pictures import write_digits
from tests.data.test_image_table import write_table

TAGS = ["sea|boat", "boat | sea", "forest", "harbour|boat", "sea|forest", "boat|boat|sea"]

CONFIG = """
data:
  class_path: metric_lightning.data.ImageTable
  init_args:
    table: t.csv
    label_column: tags
    label_separator: "|"
    batches: {class_path: metric_lightning.data.PlainBatches, init_args: {batch_size: 8}}
    size: 16
    num_workers: 0
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network: {class_path: metric_lightning.networks.EmbeddingNet, init_args: {embedding_dim: 2, padding: 2}}
    loss:
      class_path: metric_lightning.losses.ContrastiveLoss
      init_args: {relevance: &tags {class_path: metric_lightning.relevance.LabelsByClass}}
    metrics: [{class_path: metric_lightning.metrics.RetrievalMetrics, init_args: {relevance: *tags}}]
trainer: {max_epochs: 1, accelerator: cpu, logger: false, enable_progress_bar: false, enable_model_summary: false}
default_callbacks: false
"""


def table(folder: Path) -> str:
    paths = write_digits(folder, each=6, classes=4)
    rows = [
        {"path": str(path.relative_to(folder)), "tags": TAGS[number % len(TAGS)]} for number, path in enumerate(paths)
    ]
    return write_table(folder / "t.csv", rows)


def test_a_set_of_labels_is_a_class_whatever_their_order(tmp_path):
    data = ImageTable(table(tmp_path), label_column="tags", label_separator="|", size=16)
    assert data.class_names == ["boat|harbour", "boat|sea", "forest", "forest|sea"]
    assert data.class_labels is not None
    assert data.class_labels.tolist() == [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0], [0, 1, 0, 1]]  # boat, forest, ...
    assert torch.bincount(torch.tensor(data.listing.labels)).tolist() == [4, 12, 4, 4]
    with pytest.raises(UserError, match="have no levels; see class_labels"):
        _ = data.class_levels
    turned = ImageTable(str(tmp_path / "t.csv"), label_column="tags", label_separator="|", rotated_classes=True)
    assert turned.class_labels is None


def test_a_loss_takes_the_labels_of_the_data_unless_it_has_its_own(tmp_path):
    relevance, own = LabelsByClass(relevance=MultiLabel()), LabelsByClass([[0], [1]], HierarchicalLabels())
    with pytest.raises(RuntimeError, match="LabelsByClass: the data tell no labels of classes; give labels"):
        ContrastiveLoss(relevance=relevance)(torch.zeros(2, 2), torch.arange(2))
    for part in (relevance, own):
        part.take_class_labels(torch.tensor([[1, 1], [0, 1], [1, 0]]))
    found = relevance(torch.arange(3), torch.arange(3), torch.arange(3))
    assert found.positive.tolist() == [[False, True, True], [True, False, False], [True, False, False]]
    assert own.labels is not None and own.labels.shape == (2, 1)


def test_yaml_is_enough(tmp_path, monkeypatch):
    table(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(CONFIG)
    seen: list[torch.Tensor] = []
    real = MultiLabel.forward

    def noted(self, labels, *others):
        seen.append(labels)
        return real(self, labels, *others)

    monkeypatch.setattr(MultiLabel, "forward", noted)
    main(["fit", "--config", "run.yaml"])
    rows = torch.cat(seen)
    assert rows.shape[1] == 4 and set(map(tuple, rows.tolist())) == {
        (1, 0, 1, 0),
        (1, 0, 0, 1),
        (0, 1, 0, 0),
        (0, 1, 0, 1),
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"label_column": ["tags", "path"], "label_separator": "|"},
            "parts the labels of one label_column, got tags, path",
        ),
        ({"label_column": "tags", "label_separator": ""}, "label_separator '' parts the labels of one label_column"),
        ({"label_column": "tags", "label_separator": "a"}, "row 2 of .* has 'a' in column 'tags', which is no label"),
    ],
)
def test_what_is_no_set_of_labels(tmp_path, options, sentence):
    file = write_table(tmp_path / "t.csv", [{"path": "a.png", "tags": "a"}, {"path": "b.png", "tags": "b"}])
    with pytest.raises(UserError, match=sentence):
        ImageTable(file, **options)

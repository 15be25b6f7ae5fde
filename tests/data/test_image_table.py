"""A user's own table of pictures: CSV and Parquet, parts, boxes, groups, cameras, hierarchies, and every bad input."""

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image

from metric_lightning.data import ClassSplit, ImageTable
from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.losses import ContrastiveLoss
from metric_lightning.metrics import RetrievalMetrics
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import Pixels
from tests.callbacks.small import trainer
from tests.data.digit_pictures import write_digits

SMALL = {"size": 16, "num_workers": 0}


def rows_of(root: Path, each: int = 6, classes: int = 4) -> list[dict[str, str]]:
    return [
        {"path": str(path.relative_to(root)), "label": path.parent.name}
        for path in write_digits(root, each=each, classes=classes)
    ]


def write_table(file: Path, rows: list[dict[str, str]], delimiter: str = ",", encoding: str = "utf-8") -> str:
    if file.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pytest.importorskip("pyarrow").Table.from_pylist(rows), file)
        return str(file)
    with open(file, "w", encoding=encoding, newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return str(file)


def set_up(table, **options) -> ImageTable:
    data = ImageTable(table, **(SMALL | options))
    data.setup()
    return data


def files(part) -> list[str]:
    return [part.dataset.paths[place] for place in part.indices.tolist()]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("t.csv", {}),
        ("t.csv", {"delimiter": ";", "encoding": "utf-8-sig"}),
        ("t.tsv", {"delimiter": "\t"}),
        ("t.parquet", {}),
    ],
)
def test_every_kind_of_table_gives_the_same(name, options, tmp_path):
    data = set_up(write_table(tmp_path / name, rows_of(tmp_path), **options))
    assert data.class_names == ["one", "three", "two", "zero"]
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set)] == [17, 2, 5]
    for path, label in zip(files(data.train_set), data.train_set.labels.tolist(), strict=True):
        assert Path(path).parent.name == data.class_names[label]


def test_numbers_are_labels_too_and_a_root_of_its_own(tmp_path):
    rows = rows_of(tmp_path / "photos")
    for place, row in enumerate(rows):
        row["label"] = place % 3
    (tmp_path / "tables").mkdir()
    data = set_up(write_table(tmp_path / "tables/t.parquet", rows), root=str(tmp_path / "photos"))
    assert data.class_names == ["0", "1", "2"]


def test_the_split_column_parts(tmp_path):
    rows = rows_of(tmp_path)
    parts = ["train", "Training", "train", "valid", "query", "gallery"]
    for place, row in enumerate(rows):
        row["split"] = parts[place % 6]
    table = write_table(tmp_path / "t.csv", rows)
    data = set_up(table)
    assert [len(part) for part in (data.train_set, data.val_set, data.test_set, data.test_gallery_set)] == [12, 4, 4, 4]
    assert set(files(data.test_set)) == {str(tmp_path / row["path"]) for row in rows if row["split"] == "query"}
    unparted = set_up(table, split_column=None)
    assert len(unparted.train_set) == 17
    by_class = set_up(table, split_column=None, split=ClassSplit(2, 1, 1))
    assert by_class.num_classes == 2


def test_boxes_cut_and_a_picture_may_have_many(tmp_path):
    picture = Image.new("RGB", (40, 20), "black")
    picture.paste("white", (20, 0, 40, 20))
    for name in "ab":
        picture.save(tmp_path / f"{name}.png")
    rows = [
        {"path": f"{name}.png", "label": label, "x0": left, "y0": 0, "x1": left + 20, "y1": 20.0}
        for name in "ab"
        for label, left in (("dark", 0), ("light", 20))
    ]
    table = write_table(tmp_path / "t.csv", rows)
    data = set_up(table, box_columns=["x0", "y0", "x1", "y1"], mean=[0, 0, 0], std=[1, 1, 1])
    everything = [data.train_eval_set, data.val_set, data.test_set]
    shown = {(data.class_names[label], float(value.mean())) for part in everything for value, label in part}
    assert shown == {("dark", 0.0), ("light", 1.0)} and sum(map(len, everything)) == 4
    rows[1]["x0"], rows[1]["x1"] = 45, 60
    table = write_table(tmp_path / "t.csv", rows)
    with pytest.raises(
        UserError, match=r"1 of 4 pictures .* the box \(45.0, 0.0, 60.0, 20.0\) lies outside of .*a.png"
    ):
        set_up(table, box_columns=["x0", "y0", "x1", "y1"])
    data = set_up(table, box_columns=["x0", "y0", "x1", "y1"], on_error="skip")
    assert sum(map(len, (data.train_set, data.val_set, data.test_set))) == 3


def test_a_box_is_of_the_picture_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)  # seen as 20 x 40
    Image.new("RGB", (20, 40)).save(tmp_path / "b.png")
    rows = [
        {"path": path, "label": path, "l": 0, "t": 25, "r": 20, "b": 40, "split": "train"}
        for path in ("a.jpg", "b.png")
    ]
    data = set_up(write_table(tmp_path / "t.csv", rows), box_columns=["l", "t", "r", "b"], split=None)
    assert data.train_eval_set.dataset.decoded(0).shape == (3, 15, 20)


def test_groups_are_never_parted(tmp_path):
    rows = rows_of(tmp_path, each=12)
    for place, row in enumerate(rows):
        row["scene"] = f"{row['label']} {place % 6}"
    data = set_up(write_table(tmp_path / "t.csv", rows), group_column="scene")
    scene = {str(tmp_path / row["path"]): row["scene"] for row in rows}
    parts = [{scene[path] for path in files(part)} for part in (data.train_set, data.val_set, data.test_set)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 24
    assert [len(part) for part in parts] == [17, 2, 5]
    with pytest.raises(UserError, match="groups keep pictures together in a split by sample, not in ClassSplit"):
        ImageTable(str(tmp_path / "t.csv"), group_column="scene", split=ClassSplit(2))


def test_several_label_columns_are_one_class_and_a_hierarchy(tmp_path):
    rows = rows_of(tmp_path)
    for row in rows:
        row["parity"] = "even" if row["label"] in ("zero", "two") else "odd"
    table = write_table(tmp_path / "t.csv", rows)
    data = set_up(table, label_column=["parity", "label"], split=ClassSplit(["odd/one", "even/two"], 0))
    assert data.class_names == ["even/two", "odd/one", "even/zero", "odd/three"]
    kinds = data.class_levels[:, 0].tolist()
    assert kinds == [kinds[0], kinds[1], kinds[0], kinds[1]] and len(set(data.class_levels[:, 1].tolist())) == 4
    assert ImageTable(table, label_column="parity").class_names == ["even", "odd"]


def test_cameras_reach_the_metrics(tmp_path):
    """Every digit has a twin from its own camera, which is no match where cameras count."""
    rows = rows_of(tmp_path, each=4, classes=3)
    for place, row in enumerate(rows):
        row |= {"split": "train" if place % 4 < 2 else "test", "camera": row["label"], "other": str(place % 2)}
    table = write_table(tmp_path / "t.csv", rows)
    found = {}
    for column in ("camera", "other"):
        data = ImageTable(table, camera_column=column, split_column="split", **SMALL)
        module = EmbeddingModule(Pixels(input_shape=(3, 16, 16)), ContrastiveLoss(), metrics=[RetrievalMetrics()])
        (found[column],) = trainer(tmp_path, []).test(module, datamodule=data, verbose=False)
    assert found["camera"]["test/queries_without_relevant"] == 6
    assert found["other"]["test/queries_without_relevant"] == 0


def test_a_path_that_is_missing_is_named_before_training(tmp_path):
    rows = [*rows_of(tmp_path), {"path": "zero/gone.png", "label": "zero"}, {"path": "x.png", "label": "one"}]
    with pytest.raises(
        UserError, match="2 of 26 pictures .*t.csv can't be used: .*gone.png is missing, .*x.png is miss"
    ):
        set_up(write_table(tmp_path / "t.csv", rows))


GOOD = [{"path": f"{number}.png", "label": str(number % 2)} for number in range(4)]


def changed(place: int, **values: str) -> list[dict[str, str]]:
    rows = [dict(row) for row in GOOD]
    rows[place] |= values
    return [{**dict.fromkeys(rows[place], ""), **row} for row in rows]


BOX = {"l": "0", "t": "0", "r": "5", "b": "5"}
BAD_TABLES = {
    "has no column 'label'; it has path, class: name another": (
        [{"path": "a.png", "class": "a"}],
        {},
    ),
    "has no column 'view'; it has path, label: name another": (GOOD, {"camera_column": "view"}),
    "has no column 'part'; it has path, label": (GOOD, {"split_column": "part"}),
    r"has no label in 1 rows \(3\); fill or remove": (changed(1, label=""), {}),
    r"has no path in 1 rows \(5\); fill or remove": (changed(3, path=" "), {}),
    r"names 0.png twice \(rows 2 and 4\); remove one": (changed(2, path="0.png"), {}),
    r"names 0.png twice \(rows 2 and 3\) as 0 and as 1; remove the wrong one": (changed(1, path="0.png"), {}),
    r"names zero/../0.png twice, once as 0.png \(rows 2 and 4\); remove one": (changed(2, path="zero/../0.png"), {}),
    r"names ./1.png twice, once as 1.png \(rows 3 and 4\) as 1 and as 0; remove the wrong": (
        changed(2, path="./1.png"),
        {},
    ),
    r"t.csv has one class \(0\), but there must be another": ([GOOD[0], GOOD[2]], {}),
    "row 3 of .*t.csv has 'tst' in column 'split'; it must be train, val, test, gallery": (
        [{**row, "split": "tst" if place == 1 else "train"} for place, row in enumerate(GOOD)],
        {},
    ),
    "no picture is in the training part; call a part of them train": ([{**row, "split": "test"} for row in GOOD], {}),
    r"box_columns must name four columns \(left, top, right, bottom\), got l, t": (
        [{**row, **BOX} for row in GOOD],
        {"box_columns": ["l", "t"]},
    ),
    "row 2 of .* has the box 0, 0, wide, 5; it must be four numbers": (
        [{**row, **BOX, "r": "wide"} for row in GOOD],
        {"box_columns": list(BOX)},
    ),
    "row 2 of .* has the box 5, 0, 5, 5 of no size": (
        [{**row, **BOX, "l": "5"} for row in GOOD],
        {"box_columns": list(BOX)},
    ),
    "the first line of .*t.csv names label twice; give each column its own name": (
        [{"path": "a.png", "label": "a", "label ": "b"}],
        {},
    ),
    "several classes of .*t.csv would be called x/y/z; label columns are joined by a slash": (
        [{"path": "a.png", "k": "x/y", "l": "z"}, {"path": "b.png", "k": "x", "l": "y/z"}],
        {"label_column": ["k", "l"]},
    ),
    "label_column names no column": (GOOD, {"label_column": []}),
}


@pytest.mark.parametrize("sentence", BAD_TABLES)
def test_a_bad_table_is_one_sentence(sentence, tmp_path):
    rows, options = BAD_TABLES[sentence]
    with pytest.raises(UserError, match=sentence) as error:
        ImageTable(write_table(tmp_path / "t.csv", rows), **options)
    assert "\n" not in str(error.value)


def test_files_that_are_no_tables(tmp_path):
    table = tmp_path / "t.csv"
    with pytest.raises(DataNotFound, match="there is no table .*t.csv"):
        ImageTable(str(table))
    for content, sentence in (
        (b"", "has no row"),
        (b"path,label\n", "has no row"),
        (b"\xff\xfe\x00", "can't be read as CSV in UTF-8"),
        (b"path,label\na\0.png,a\n", "can't be read as CSV in UTF-8"),
        (b"path,label\na.png\n", "row 2 of .*t.csv has 1 columns, but the first line names 2"),
        (b'path,label\n"a.png,b\n', "can't be read as CSV"),
    ):
        table.write_bytes(content)
        with pytest.raises(UserError, match=sentence):
            ImageTable(str(table))
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(UserError, match="can't be read as Parquet"):
        ImageTable(str(tmp_path / "t.parquet"))


def test_a_loss_knows_kinds_from_the_levels(tmp_path):
    """What the docs say of `class_levels`: classes of one kind agree in its first column."""
    rows = [{"path": f"{n}.png", "kind": "ab"[n // 4], "species": str(n // 2)} for n in range(8)]
    data = ImageTable(write_table(tmp_path / "t.csv", rows), label_column=["kind", "species"])
    levels = data.class_levels
    same_kind = (levels[:, None, 0] == levels[None, :, 0]).int()
    expected = [[int(one[0] == other[0]) for other in data.class_names] for one in data.class_names]
    assert torch.equal(same_kind, torch.tensor(expected, dtype=torch.int32))


def test_links_among_folders_are_one_picture_and_links_to_files_are_two(tmp_path):
    write_digits(tmp_path, each=2, classes=2)
    (tmp_path / "again").symlink_to("zero")
    first, second = sorted((tmp_path / "zero").iterdir())
    (tmp_path / "twin.png").symlink_to(first)
    rows = [{"path": f"zero/{first.name}", "label": "a"}, {"path": "twin.png", "label": "b"}]
    assert len(ImageTable(write_table(tmp_path / "t.csv", rows)).listing.paths) == 2
    rows.append({"path": f"again/{first.name}", "label": "a"})
    with pytest.raises(UserError, match=rf"names again/{first.name} twice, once as zero/{first.name} \(rows 2 and 4\)"):
        ImageTable(write_table(tmp_path / "t.csv", rows))


def test_what_is_missing_in_parquet_is_no_class(tmp_path):
    rows = [{"path": "a.png", "label": 1.0}, {"path": "b.png", "label": float("nan")}]
    with pytest.raises(UserError, match=r"has no label in 1 rows \(3\)"):
        ImageTable(write_table(tmp_path / "t.parquet", rows))
    rows = [{"path": "a.png", "label": b"caf\xe9"}, {"path": "b.png", "label": b"b"}]
    with pytest.raises(UserError, match=r"labels of .*t.parquet that are no UTF-8: 1 \(caf\\xe9\); rename them"):
        ImageTable(write_table(tmp_path / "t.parquet", rows))

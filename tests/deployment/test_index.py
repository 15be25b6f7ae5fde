"""Indexes on embeddings are checked against numpy; indexes of pictures say in a sentence what they can't do."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from metric_lightning import Embedder
from metric_lightning.cli import main
from metric_lightning.data import ImageFolder
from metric_lightning.deployment import ImageIndex, VectorIndex
from metric_lightning.deployment.build_index import require_buildable
from metric_lightning.deployment.picture_table import PictureTable
from metric_lightning.deployment.recall import recall_against_exact
from metric_lightning.errors import UserError
from tests.data.digit_pictures import digit, write_digits
from tests.deployment.conftest import Run


def loop_search(rows, query, k, distance):
    def apart(x, y):
        if distance == "euclidean":
            return float(np.sqrt(((x - y) ** 2).sum()))
        return max(0.0, 1 - float((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y))))

    found = sorted((apart(query.astype(float), row.astype(float)), place) for place, row in enumerate(rows))
    return [distance for distance, _ in found[:k]], [place for _, place in found[:k]]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_nearest_rows_and_distances(kind, distance, tmp_path, monkeypatch):
    monkeypatch.setattr("metric_lightning.deployment.vector_index.BLOCK", 100)
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((250, 6)).astype(np.float32)
    queries = np.concatenate([rows[:2], generator.standard_normal((3, 6)).astype(np.float32)])
    index = VectorIndex.build(rows, kind, distance, effort=None if kind == "flat" else 250)
    index.write(tmp_path / "x")
    for made in (index, VectorIndex.read(tmp_path / "x", kind, distance)):
        distances, positions = made.search(queries, 7)
        for query, found, places in zip(queries, distances, positions, strict=True):
            expected, order = loop_search(rows, query, 7, distance)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            assert places.tolist() == order
    assert distances[0, 0] == pytest.approx(0, abs=1e-6) and positions[0, 0] == 0


def test_ties_come_in_the_order_of_rows():
    rows = np.zeros((40, 3), np.float32)
    distances, positions = VectorIndex.build(rows).search(rows[:1], 40)
    assert positions[0].tolist() == list(range(40)) and not distances.any()


def test_recall_of_an_index_that_looks_at_little():
    rows = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
    made = {effort: VectorIndex.build(rows, "ivf", effort=effort) for effort in (1, 51)}
    found = {effort: recall_against_exact(index, rows, 10, 50) for effort, index in made.items()}
    assert 0.1 < found[1] < 0.9 and found[51] == 1.0
    # The same by a loop.
    hits = 0
    drawn = np.sort(np.random.default_rng(0).choice(2000, 50, replace=False))
    for query in drawn:
        places = made[1].search(rows[[query]], 10)[1][0]
        hits += len(set(places) & set(loop_search(rows, rows[query], 10, "euclidean")[1]))
    assert found[1] == pytest.approx(hits / 500)


def test_what_vectors_refuse():
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(UserError, match="there is nothing to index"):
        VectorIndex.build(rows[:0])
    with pytest.raises(UserError, match="nan or infinity"):
        VectorIndex.build(rows * np.float32("nan"))
    with pytest.raises(ValueError, match="kind='tree' must be one of flat, ivf, hnsw"):
        VectorIndex.build(rows, "tree")
    with pytest.raises(ValueError, match="effort=0"):
        VectorIndex.build(rows, "ivf", effort=0)
    with pytest.raises(ValueError, match="effort=8 is for ivf and hnsw; flat compares with all"):
        VectorIndex.build(rows, effort=8)
    for k in (0, 4):
        with pytest.raises(UserError, match=f"k={k} must be between 1 and 3"):
            VectorIndex.build(rows).search(rows, k)
    with pytest.raises(UserError, match=r"queries must be \(q, 3\)"):
        VectorIndex.build(rows).search(rows[:, :2], 1)


@pytest.fixture
def index(run: Run, here) -> str:
    main(["index", "--ckpt_path", run.checkpoint, "--images", str(run.photos), "--output", "index"])
    return "index"


def test_an_index_is_plain_data(index, run: Run):
    assert sorted(path.name for path in Path(index).iterdir()) == ["index.json", "table.csv", "vectors.faiss"]
    facts = json.loads(Path(index, "index.json").read_text())
    assert (facts["pictures"], facts["dimension"], facts["kind"], facts["left_out"]) == (80, 4, "flat", 0)
    lines = Path(index, "table.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "path,label" and len(lines) == 81
    assert '"two, or so/' in "\n".join(lines)


def test_an_approximate_index_says_its_recall(run: Run, here, capsys):
    main(["index", "--ckpt_path", run.checkpoint, "--images", str(run.photos), "--output", "i", "--kind", "hnsw"])
    assert "recall@10 against exact search, of 80 of its own pictures: 1.0000" in capsys.readouterr().out
    assert json.loads(Path("i/index.json").read_text())["recall_at_10"] == 1.0


def test_a_table_of_pictures(run: Run, here):
    paths = write_digits(here / "digits", each=2, classes=2)
    lines = [f"{path.relative_to(here)},{path.parent.name}" for path in paths]
    Path("all.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    main(["index", "--ckpt_path", run.checkpoint, "--images", "all.csv", "--output", "i"])
    table = ImageIndex.load("i").table
    assert table.labels == ["zero", "zero", "one", "one"] and table.paths == [str(path) for path in paths]


def test_a_table_is_read_as_for_training(run: Run, here, refusal):
    paths = [str(path.relative_to(here)) for path in write_digits(here / "digits", each=2, classes=2)]
    (here / "digits/again").symlink_to("zero")
    for name, rows, words in (
        ("ragged.csv", [f"{paths[0]},a", f"{paths[1]},a,b"], "row 3 of ragged.csv has 3 columns"),
        (
            "twice.csv",
            [f"{paths[0]},a", f"./{paths[0]},b"],
            "twice, once as digits/zero/0000.png (rows 2 and 3) as a and",
        ),
        ("link.csv", [f"{paths[0]},a", "digits/again/0000.png,a"], "names digits/again/0000.png twice"),
        ("nameless.csv", [f"{paths[0]},a", " ,b"], "has no path in 1 rows (3)"),
    ):
        Path(name).write_text("\n".join(["path,label", *rows]))
        assert words in refusal("index", "--ckpt_path", run.checkpoint, "--images", name, "--output", "i")
    Path("good.tsv").write_text("\n".join(["label\tpath", f"a\t{paths[0]}", f"\t {paths[1]}"]))
    table = PictureTable.of("good.tsv")
    assert table.names == paths[:2] and table.labels == ["a", ""]


def test_a_folder_has_the_classes_that_training_has(here):
    for part in ("train", "test"):
        write_digits(here / "photos" / part, each=2, classes=2)
    write_digits(here / "elsewhere", each=2, classes=1, names=["else"])
    Path("photos/test/linked").symlink_to("../../elsewhere/else")
    Path("photos/train/round").symlink_to("../..")
    Path("photos/train/zero/round").symlink_to("../../../photos")
    digit(0).save("photos/loose.png")
    listing = ImageFolder("photos").listing
    trained = {path: listing.class_names[label] for path, label in zip(listing.paths, listing.labels, strict=True)}
    table = PictureTable.of("photos")
    indexed = {f"photos/{name}": label for name, label in zip(table.names, table.labels, strict=True)}
    assert len(trained) == 10 and "linked" in trained.values()
    assert indexed == trained | {"photos/loose.png": ""} and len(table.names) == 11


def test_arguments_are_checked_before_any_file_is_read(run: Run, here, refusal):
    """Neither checkpoint nor pictures are there."""

    def said(*more):
        return refusal("index", "--ckpt_path", "no.ckpt", "--images", "nowhere", "--output", "a/i", *more)

    assert "effort=0 must be at least 1" in said("--kind", "ivf", "--effort", "0")
    assert "effort=8 is for ivf and hnsw" in said("--effort", "8")
    assert "batch_size=0 must be at least 1" in said("--batch_size", "0")
    assert "num_workers=-1" in said("--num_workers", "-1")
    assert "kind" in said("--kind", "tree")
    for device in ("foo", "cuda:99", ""):
        words = f"device {device!r} is none that PyTorch can use here; take one of cpu"
        assert words in said("--device", device)
        assert words in refusal("search", "--index", "nowhere", "--query", "a.png", "--device", device)
    Path("a").write_text("")
    assert "a/i can't be written (Not a directory)" in said()
    Path("a").unlink()
    for images, words in (("", "the name of a folder of pictures is empty"), ("nowhere", "there is no folder nowhere")):
        assert words in refusal("index", "--ckpt_path", "no.ckpt", "--images", images)
    Path("a").write_text("")
    assert [path.name for path in here.iterdir()] == ["a"]
    with pytest.raises(ValueError, match='on_error must be "stop" or "skip", got \'ignore\''):
        require_buildable(here / "i", "flat", None, "ignore", 1, 0)
    with pytest.raises(UserError, match="device 'gpu' is none"):
        Embedder.load("no.ckpt", device="gpu")


def test_bad_pictures_are_named_at_once_or_left_out(run: Run, here, refusal, capsys):
    write_digits(here / "digits", each=3, classes=2)
    whole = next((here / "digits/one").iterdir())
    Path("digits/zero/cut.png").write_bytes(whole.read_bytes()[:60])
    Path("digits/zero/empty.png").write_bytes(b"")
    Path("digits/one/text.png").write_text("no picture")
    line = refusal("index", "--ckpt_path", run.checkpoint, "--images", "digits", "--output", "i")
    assert "3 pictures can't be used" in line and "--on_error skip" in line
    assert all(name in line for name in ("cut.png", "empty.png", "text.png"))
    assert [path.name for path in here.iterdir()] == ["digits"]
    main(["index", "--ckpt_path", run.checkpoint, "--images", "digits", "--output", "i", "--on_error", "skip"])
    assert "6 pictures, 2 classes by name; 3 left out: i" in capsys.readouterr().out
    loaded = ImageIndex.load("i")
    embedder = Embedder.load(run.checkpoint)
    expected = VectorIndex.build(embedder.embed(loaded.table.paths).numpy()).search(np.zeros((1, 4), np.float32), 6)
    np.testing.assert_array_equal(loaded.vectors.search(np.zeros((1, 4), np.float32), 6)[1], expected[1])


def test_what_index_refuses(run: Run, here, refusal, without):
    def said(images="photos", output="i", *more):
        return refusal("index", "--ckpt_path", run.checkpoint, "--images", images, "--output", output, *more)

    assert "there is no folder photos" in said()
    Path("photos").mkdir()
    assert "there is no picture in photos: no file ends in .jpg" in said()
    Path("table.csv").write_text("file\na.png\n")
    assert "table.csv has no column 'path'" in said("table.csv")
    Path("table.csv").write_text("path\n")
    assert "table.csv has no row" in said("table.csv")
    digit(0).save("photos/a.png")
    Path("file").write_text("")
    assert "file/i can't be written" in said("photos", "file/i")
    assert "photos is there already and holds something else" in said("photos", "photos")
    assert "did you mean --kind" in said("photos", "i", "--kin", "flat")
    without("faiss")
    assert 'a search index needs faiss, which is not installed: pip install "metric_lightning[search]"' in said()
    assert sorted(path.name for path in here.iterdir()) == ["file", "photos", "table.csv"]


def test_a_small_index_gives_all_it_has(run: Run, here, capsys):
    write_digits(Path("few"), each=2, classes=2)
    main(["index", "--ckpt_path", run.checkpoint, "--images", "few", "--output", "index"])
    query = str(next(Path("few").rglob("*.png")))
    main(["search", "--index", "index", "--query", query])
    assert "    4  " in capsys.readouterr().out
    embedder = Embedder.load(run.checkpoint)
    assert embedder.search(query, "index", k=2) == embedder.search(query, ImageIndex.load("index"), k=2)


def test_what_search_refuses(index, run: Run, here, refusal):
    query = str(next((run.photos / "three").iterdir()))

    def said(*more):
        return refusal("search", "--index", index, "--query", query, *more)

    assert "k=81 must be between 1 and 80" in said("-k", "81")
    assert "k=0 must be between 1 and 80" in said("-k", "0")
    assert "page.pdf must end in .html or .png" in said("--output", "page.pdf")
    Path("file").write_text("")
    assert "file/page.html can't be written" in said("--output", "file/page.html")
    assert "picture none.png is missing" in refusal("search", "--index", index, "--query", "none.png")
    Path("text.png").write_text("no picture")
    assert "2 pictures can't be used" in refusal("search", "--index", index, "--query", "none.png", "text.png")
    assert "there is no index in nowhere" in refusal("search", "--index", "nowhere", "--query", query)
    assert "index, query not given; see --help" in refusal("search")


def test_an_index_of_another_checkpoint_is_refused(index, run: Run, here, refusal):
    content = torch.load(run.checkpoint, weights_only=True)
    name = next(name for name in content["state_dict"] if name.startswith("network."))
    content["state_dict"][name] += 1e-3
    torch.save(content, "other.ckpt")
    query = str(next((run.photos / "three").iterdir()))
    line = refusal("search", "--index", index, "--query", query, "--ckpt_path", "other.ckpt")
    assert "the index was built with another checkpoint" in line and run.checkpoint in line
    shutil.copy(run.checkpoint, "copy.ckpt")  # the same model elsewhere is the same model
    main(["search", "--index", index, "--query", query, "--ckpt_path", "copy.ckpt", "-k", "1"])


def test_a_checkpoint_that_is_gone_is_asked_for(index, run: Run, refusal):
    facts = json.loads(Path(index, "index.json").read_text())
    Path(index, "index.json").write_text(json.dumps(facts | {"checkpoint": "/gone/last.ckpt"}))
    line = refusal("search", "--index", index, "--query", str(next((run.photos / "three").iterdir())))
    assert "'/gone/last.ckpt', which is gone; give it with --ckpt_path" in line


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("vectors.faiss", "no vectors", "can't be read as an index; build it again"),
        ("index.json", "{", "can't be read"),
        ("index.json", '{"format": 9}', "is an index of format 9, not 1"),
        ("table.csv", "path,label\na,b\n", "has 80 vectors but 1 rows"),
        ("table.csv", "path\na\n", "has no column 'label'; it has path: build the index again"),
    ],
)
def test_a_damaged_index(index, file, content, words):
    Path(index, file).write_text(content)
    with pytest.raises(UserError, match=words):
        ImageIndex.load(index)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([], "index.json holds no JSON object of facts; build the index again"),
        ({"distance": None}, "index.json doesn't say its distance; build"),
        ({"checkpoint": 3}, "says checkpoint: 3, which is not a text"),
        ({"pictures": "3"}, 'says pictures: "3", which is not a whole number'),
        ({"kind": "tree"}, "says kind: 'tree', which is none of flat, ivf, hnsw"),
        ({"kind": "ivf"}, "vectors.faiss is not of the kind 'ivf' but a IndexFlat"),
        ({"pictures": 9}, "says pictures: 9, but vectors.faiss has 3: files of two indices were mixed"),
        ({"dimension": 9}, "says dimension: 9, but vectors.faiss has 2"),
    ],
)
def test_facts_that_can_not_be_of_this_index(here, change, words):
    table = PictureTable("/", ["a", "b", "c"], ["", "", ""])
    ImageIndex(VectorIndex.build(np.eye(3, 2, dtype=np.float32)), table, "model").save("index")
    path = Path("index/index.json")
    facts = json.loads(path.read_text())
    changed = {name: value for name, value in (facts | dict(change)).items() if value is not None}
    path.write_text(json.dumps(changed if change else change))
    with pytest.raises(UserError, match=words):
        ImageIndex.load("index")


def test_a_table_without_labels_is_no_index(here):
    Path("table.csv").write_text("path\na\n")
    with pytest.raises(UserError, match="table.csv has no column 'label'"):
        PictureTable.read(Path("table.csv"), "/")


def test_an_index_is_replaced_whole_and_bytes_of_names_are_kept(run: Run, here):
    Path("photos").mkdir()
    strange = b"photos/\xff\r\n\r.png".decode(errors="surrogateescape")
    digit(4).save("a.png")
    shutil.copy("a.png", strange)
    for _ in range(2):
        main(["index", "--ckpt_path", run.checkpoint, "--images", "photos", "--output", "i"])
        assert ImageIndex.load("i").table.names == [strange.removeprefix("photos/")]
    main(["search", "--index", "i", "--query", "a.png", "-k", "1"])
    assert sorted(path.name for path in here.iterdir()) == ["a.png", "i", "photos", "search.html"]

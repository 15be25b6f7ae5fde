"""From a folder of pictures to a search result, by commands alone; and all ways to an embedding agree."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from metric_lightning import Embedder
from metric_lightning.cli import main
from metric_lightning.deployment import ImageIndex
from tests.deployment.conftest import Run


def prepared_by_hand(path: str, description: dict) -> np.ndarray:
    """Follow preprocessing.json for a grey picture of the right size, without this package."""
    assert description["preprocessing"]["channels"] == 1 and description["preprocessing"]["size"] == [16, 16]
    picture = Image.open(path)
    assert picture.size == (16, 16)
    return np.asarray(picture.convert("L"))[None]


def test_from_pictures_to_a_search_result(run: Run, here: Path, capsys):
    main(["test", "--ckpt_path", run.checkpoint])
    main(["predict", "--ckpt_path", run.checkpoint, "--output", "out.npz"])
    main(["export", "--ckpt_path", run.checkpoint, "--output", "export"])
    main(["index", "--ckpt_path", run.checkpoint, "--images", str(run.photos), "--output", "index"])
    with np.load("out.npz", allow_pickle=False) as found:
        predicted = dict(found)
    paths = predicted["paths"].tolist()
    assert len(paths) == 16 and [Path(path).parent.name for path in paths] == predicted["names"].tolist()
    assert predicted["class_names"].tolist() == ["<b>one", "three", "two, or so", "zéro"]

    description = json.loads(Path("export/preprocessing.json").read_text())
    session = onnxruntime.InferenceSession("export/model.onnx")
    pixels = np.stack([prepared_by_hand(path, description) for path in paths])
    (by_onnx,) = session.run(["embeddings"], {"pixels": pixels})
    by_class = Embedder.load(run.checkpoint).embed(paths).numpy()
    np.testing.assert_allclose(by_onnx, predicted["embeddings"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(by_class, predicted["embeddings"], rtol=0, atol=1e-5)

    capsys.readouterr()
    main(["search", "--index", "index", "--query", paths[0], paths[-1], "-k", "5"])
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == paths[0] and lines[6] == paths[-1] and lines[12] == "page: search.html"
    nearest = [lines[place].split(maxsplit=4) for place in (1, 7)]
    assert [words[:3] for words in nearest] == [["1", "0.0000", "same"]] * 2
    assert [words[4] for words in nearest] == [f"{predicted['names'][row]}  {paths[row]}" for row in (0, -1)]
    assert Path("search.html").is_file()


def test_matches_are_those_of_a_loop(run: Run, here: Path):
    embedder = Embedder.load(run.checkpoint)
    index = embedder.index(run.photos)
    everything = embedder.embed(index.table.paths).double().numpy()
    query = index.table.paths[3]
    (matches,) = embedder.search(query, index, k=80)
    distances = [float(np.sqrt(((everything[3] - other) ** 2).sum())) for other in everything]
    order = sorted(range(80), key=lambda row: distances[row])
    np.testing.assert_allclose([match.distance for match in matches], [distances[row] for row in order], atol=1e-5)
    assert matches[0].path == query and {match.position for match in matches} == set(range(80))
    threshold = embedder.calibration.threshold
    assert [match.same for match in matches] == [match.distance <= threshold for match in matches]
    assert any(match.same for match in matches) and not all(match.same for match in matches)
    assert all(match.label == Path(match.path).parent.name for match in matches)


def test_the_page_shows_every_picture_and_no_name_as_markup(run: Run, here: Path):
    main(["index", "--ckpt_path", run.checkpoint, "--images", str(run.photos), "--output", "index"])
    main(["search", "--index", "index", "--query", str(run.photos / "<b>one"), "-k", "3", "--output", "page.html"])
    page = Page()
    page.feed(Path("page.html").read_text(encoding="utf-8"))
    assert page.tags.count("img") == 20 * 4 and page.tags.count("section") == 20
    assert "script" not in page.tags and page.tags.count("b") == 20 * 3  # labels, none from a name
    assert any("<b>one" in text for text in page.texts)
    assert all(source.startswith("data:image/") for source in page.sources)


def test_a_picture_of_the_results(run: Run, here: Path):
    main(["index", "--ckpt_path", run.checkpoint, "--images", str(run.photos), "--output", "index"])
    main(["search", "--index", "index", "--query", str(run.photos / "three"), "-k", "4", "--output", "page.png"])
    picture = Image.open("page.png")
    assert picture.height > 20 * 100 and len(picture.convert("RGB").getcolors(1 << 24)) > 100


def test_a_page_without_a_moved_picture(run: Run, here: Path):
    embedder = Embedder.load(run.checkpoint)
    index = embedder.index(run.photos)
    index.table.names[0] = "gone.png"
    index.save("index")
    loaded = ImageIndex.load("index")
    assert loaded.table == index.table
    main(["search", "--index", "index", "--query", str(run.photos / "three"), "-k", "80"])
    assert Path("search.html").read_text(encoding="utf-8").count("can't be read any more") == 20


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name == "src"]

    def handle_data(self, data) -> None:
        self.texts.append(data)

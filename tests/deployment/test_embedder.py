"""Whatever form a picture comes in, its embedding is the same; what is no picture is refused in a sentence."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image
from torch import nn

from metric_lightning import Embedder
from metric_lightning.data import Digits, Preprocessing
from metric_lightning.errors import UserError
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNet
from tests.data.digit_pictures import digit
from tests.deployment.conftest import Run


@pytest.fixture(scope="module")
def embedder(run: Run) -> Embedder:
    return Embedder.load(run.checkpoint, device="cpu")


def test_every_form_of_a_picture(embedder: Embedder, here):
    picture = digit(3)
    picture.save("digit.png")
    array = np.asarray(picture)
    forms = {
        "path": "digit.png",
        "Path": here / "digit.png",
        "PIL": picture,
        "array (H, W)": array,
        "array (H, W, 1)": array[:, :, None],
        "array (H, W, 3)": np.repeat(array[:, :, None], 3, axis=2),
        "tensor (H, W)": torch.from_numpy(array.copy()),
        "tensor (1, H, W)": torch.from_numpy(array.copy())[None],
        "tensor (1, 3, H, W)": torch.from_numpy(array.copy()).expand(1, 3, -1, -1),
    }
    inputs = (torch.from_numpy(array.astype(np.float32))[None, None] / 255 - 0.449) / 0.226
    with torch.no_grad():
        expected = embedder.module(inputs)
    assert embedder.preprocessing.mean == pytest.approx((0.449,), abs=1e-3)
    for name, form in forms.items():
        found = embedder.embed(form)
        assert found.shape == (1, 4), name
        np.testing.assert_allclose(found, expected, atol=2e-2, err_msg=name)
        np.testing.assert_allclose(found, embedder.embed(picture), atol=1e-6, err_msg=name)


def test_many_pictures_in_batches_by_workers_keep_their_order(embedder: Embedder, run: Run):
    paths = sorted(run.photos.rglob("*.png"))[:30]
    one_by_one = torch.cat([embedder.embed(path) for path in paths])
    np.testing.assert_allclose(embedder.embed(paths, batch_size=7, num_workers=2), one_by_one, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(iter(paths)), one_by_one, atol=1e-5)
    batch = torch.stack([torch.from_numpy(np.array(Image.open(path)))[None] for path in paths])
    np.testing.assert_allclose(embedder.embed(batch), one_by_one, atol=1e-5)
    assert embedder.embed([]).shape == (0, 4)


def test_a_large_colour_picture_is_prepared_as_the_evaluation_data_are(embedder: Embedder):
    picture = digit(5, side=90).convert("RGB").crop((0, 10, 90, 70))
    assert embedder.preprocessing.resize is not None
    pixels = embedder.preprocessing.pixels(picture)
    assert pixels.shape == (1, 16, 16)
    # Pillow's own antialiased scaling as the oracle: a grey level or two apart.
    side = embedder.preprocessing.resize
    scaled = picture.convert("L").resize((side * 90 // 60, side), Image.Resampling.BILINEAR)
    left, top = round((scaled.width - 16) / 2), round((side - 16) / 2)
    expected = np.asarray(scaled.crop((left, top, left + 16, top + 16))).astype(int)
    assert np.abs(pixels[0].numpy().astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (3.5, "a picture is a path, a PIL image, or 8-bit pixels, not float"),
        (None, "a picture is a path, a PIL image, or 8-bit pixels, not NoneType"),
        (b"a.png", "a picture is a path, a PIL image, or 8-bit pixels, not bytes"),
        (".", "picture . is a folder; name the pictures in it"),
        (np.zeros((0, 4), dtype=np.uint8), r"a picture has no pixel \(4x0\)"),
        (torch.zeros(3, 4, 0, dtype=torch.uint8), r"a picture has no pixel \(0x4\)"),
        (Image.new("RGB", (0, 4)), r"a picture has no pixel \(0x4\)"),
        (Image.new("L", (1, 300)), "has 1x300 pixels, and is more than 200 times as long as wide"),
        (Image.new("F", (4, 4)), "a picture holds floating-point numbers"),
        ([np.zeros((4, 4), dtype=np.uint8), None], "picture number 1: a picture is a path.* not NoneType"),
        ([3.5], "a picture is a path, a PIL image, or 8-bit pixels, not float"),
        (np.zeros((4, 4), dtype=np.float32), "an array must be"),
        (np.zeros((4, 4, 2), dtype=np.uint8), "an array must be"),
        (torch.zeros(3, 4, 4), "a tensor must be"),
        (torch.zeros(5, 4, 3, dtype=torch.uint8), "a tensor must be"),
        ("nowhere.png", "nowhere.png is missing"),
        (
            ["nowhere.png", "elsewhere.png"],
            "2 pictures can't be used: nowhere.png is missing, elsewhere.png is missing",
        ),
    ],
)
def test_what_is_no_picture(embedder: Embedder, here, picture, words):
    with pytest.raises(UserError, match=words):
        embedder.embed(picture)


def test_no_picture_at_all(embedder: Embedder, run: Run):
    for nothing in ([], (), iter([]), np.zeros((0, 4, 4, 3), dtype=np.uint8)):
        assert embedder.embed(nothing).shape == (0, 4)
    index = embedder.index(run.photos)
    assert embedder.search([], index, k=2) == []
    with pytest.raises(UserError, match="an index is of picture files: give a folder, a table or paths, got none"):
        embedder.index([])
    with pytest.raises(UserError, match="give a folder, a table or paths, got NoneType"):
        embedder.index(None)


def test_an_image_whose_file_is_cut_short(embedder: Embedder, here):
    picture = digit(3, side=64)
    picture.save("cut.png")
    (here / "cut.png").write_bytes((here / "cut.png").read_bytes()[:-40])
    with pytest.raises(UserError, match="a picture can't be read"):
        embedder.embed(Image.open("cut.png"))


def test_a_module_built_in_python_is_loaded_by_its_own_class(here):
    data, module = Digits(), OwnModule(EmbeddingNet(2, padding=2), TripletMarginLoss())
    trainer = Trainer(max_epochs=1, limit_train_batches=2, accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.fit(module, datamodule=data)
    trainer.save_checkpoint("own.ckpt")
    embedder = Embedder.load("own.ckpt")
    assert type(embedder.module) is OwnModule and embedder.calibration is None
    assert embedder.class_names == [str(digit) for digit in range(10)]
    index = data.test_set.indices[7]
    picture = Image.fromarray(data.test_set.dataset.images[index][0].numpy())
    with torch.no_grad():
        expected = embedder.module(data.test_set[7][0][None])
    np.testing.assert_allclose(embedder.embed(picture), expected, atol=1e-5)


def test_a_network_that_no_checkpoint_can_make_again(here):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    trainer = Trainer(max_epochs=1, limit_train_batches=2, accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.fit(module := EmbeddingModule(network, TripletMarginLoss()), datamodule=Digits())
    trainer.save_checkpoint("plain.ckpt")
    with pytest.raises(UserError, match=r"load_from_checkpoint\(..., network=...\), and use Embedder\(module"):
        Embedder.load("plain.ckpt")
    assert Embedder(module, Preprocessing(1, (8, 8))).embed(digit(0)).shape == (1, 2)


def test_checkpoints_that_say_too_little(run: Run, here):
    content = torch.load(run.checkpoint, weights_only=True)
    torch.save(content | {"metric_lightning_data": None}, "no_data.ckpt")
    with pytest.raises(UserError, match="doesn't say how a picture becomes an input"):
        Embedder.load("no_data.ckpt")
    assert Embedder.load("no_data.ckpt", preprocessing=Preprocessing(1, (16, 16))).embedding_dim == 4
    torch.save({"state_dict": {}}, "foreign.ckpt")
    with pytest.raises(UserError, match="no MetricModule wrote it"):
        Embedder.load("foreign.ckpt")
    shipping = content["metric_lightning_shipping"]
    torch.save(content | {"metric_lightning_shipping": shipping | {"module": "os.system"}}, "evil.ckpt")
    with pytest.raises(UserError, match="os.system as its module, which is no MetricModule"):
        Embedder.load("evil.ckpt")


class OwnModule(EmbeddingModule):
    """Another project's module."""

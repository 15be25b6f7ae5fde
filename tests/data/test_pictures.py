"""Picture files of every kind, and those that can't be pictures."""

import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from metric_lightning.data import ArrayDataset, Preprocessing
from metric_lightning.data.decoded_cache import DecodedCache
from metric_lightning.data.image_files import ImageFiles
from metric_lightning.data.picture_check import faults
from metric_lightning.data.pictures import open_picture
from metric_lightning.errors import UserError

RED, WHITE = (200, 40, 40), (255, 255, 255)


def corners(path) -> list[tuple[int, ...]]:
    """Return the upper left and the lower right pixel."""
    picture = open_picture(path)
    assert picture.mode == "RGB"
    return [picture.getpixel((0, 0)), picture.getpixel((picture.width - 1, picture.height - 1))]


def half_clear() -> Image.Image:
    picture = Image.new("RGBA", (4, 2), (*RED, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 2, 2))
    return picture


def test_transparency_lies_on_white(tmp_path):
    half_clear().save(tmp_path / "rgba.png")
    half_clear().convert("LA").save(tmp_path / "la.png")
    palette = Image.new("P", (4, 2), 1)
    palette.putpalette([0, 0, 0, *RED])
    palette.paste(0, (0, 0, 2, 2))
    palette.save(tmp_path / "palette.png", transparency=0)
    assert corners(tmp_path / "rgba.png") == [WHITE, RED]
    assert corners(tmp_path / "palette.png") == [WHITE, RED]
    first, last = corners(tmp_path / "la.png")
    assert first == WHITE and len(set(last)) == 1 and last[0] < 120


def test_grey_16_bits_black_and_white_and_cmyk(tmp_path):
    Image.fromarray(np.array([[0, 65535], [0, 257 * 100]], np.uint16)).save(tmp_path / "deep.png")
    assert corners(tmp_path / "deep.png") == [(0, 0, 0), (100, 100, 100)]
    assert open_picture(tmp_path / "deep.png", channels=1).getpixel((1, 0)) == 255
    Image.fromarray(np.array([[7, 9]], np.uint8)).save(tmp_path / "grey.png")
    assert corners(tmp_path / "grey.png") == [(7, 7, 7), (9, 9, 9)]
    Image.new("1", (2, 2), 1).save(tmp_path / "ink.png")
    assert corners(tmp_path / "ink.png") == [WHITE, WHITE]
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "press.jpg", quality=100)
    red, green, blue = corners(tmp_path / "press.jpg")[0]
    assert red > 240 and green < 15 and blue < 15


def test_a_camera_held_upright_is_turned(tmp_path):
    picture = Image.new("RGB", (4, 2), WHITE)
    picture.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it
    picture.save(tmp_path / "held.png", exif=exif)
    seen = open_picture(tmp_path / "held.png")
    assert seen.size == (2, 4) and seen.getpixel((1, 0)) == RED and seen.getpixel((0, 0)) == WHITE


def test_the_first_picture_of_an_animation_counts(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, WHITE)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert corners(tmp_path / "film.gif")[0] == RED


def bomb(path) -> None:
    # A picture of 30,000 x 30,000 pixels takes no room where all are equal.
    Image.new("1", (30_000, 30_000)).save(path)


FAULTS = {
    "missing.png": (lambda path: None, "is missing; put it there, or take it out of the data"),
    "empty.png": (lambda path: path.write_bytes(b""), "is an empty file; fetch it again"),
    "text.png": (lambda path: path.write_text("no picture"), r"can't be read \(it is no picture\)"),
    "large.png": (bomb, r"has (30000x30000|more than the 89,478,485) pixels.*scale it down"),
    "long.png": (lambda path: Image.new("L", (1, 300)).save(path), "has 1x300 pixels, and is more than 200 times as"),
    "pipe.png": (os.mkfifo, "is no file but a pipe or a device; take it out of the data"),
    "folder.png": (lambda path: path.mkdir(), "is a folder; name the pictures in it"),
    "float.tif": (lambda path: Image.new("F", (2, 2)).save(path), "holds floating-point numbers; save it with 8"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_is_no_picture_is_one_sentence(name, tmp_path):
    write, sentence = FAULTS[name]
    write(tmp_path / name)
    with pytest.raises(UserError, match=f"picture .*{name} {sentence}") as error, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own warning of the large one
        open_picture(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("format", ["png", "jpg", "gif", "webp"])
def test_a_file_cut_short_is_one_sentence(format, tmp_path):
    path = tmp_path / f"a.{format}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(UserError, match=rf"picture .*a.{format} can't be read \(.*\); unpack or fetch it again"):
        open_picture(path)


def test_preprocessing_is_plain_data_that_makes_the_same_input(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for options in ({"resize": 20}, {"resize": None, "interpolation": "bicubic", "mean": [0.5], "std": [0.2]}):
        data = ImageFiles([tmp_path / "a.png"], [0], ["a"], size=16, **options)
        described = data.subset([0]).preprocessing().as_dict()
        assert all(type(value) in (bool, int, str, list, type(None)) for value in described.values())
        again = Preprocessing.from_dict(described)
        assert torch.equal(again(Image.open(tmp_path / "a.png")), data[0][0])
        shown = again.shown(data[0][0][None])[0]
        assert torch.equal(shown, again.fitted(torch.from_numpy(pixels).permute(2, 0, 1)))


def test_preprocessing_of_images_in_memory():
    images = torch.randint(0, 255, (2, 1, 6, 5), dtype=torch.uint8)
    data = ArrayDataset(images, [0, 1], mean=0.3, std=0.2)
    prepare = data.preprocessing()
    torch.testing.assert_close(prepare(Image.fromarray(images[0, 0].numpy())), data[0][0])
    assert prepare(Image.new("RGB", (20, 20))).shape == (1, 6, 5)
    assert ArrayDataset(torch.zeros(1, 2, 4, 4).byte(), [0]).preprocessing() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "1 or 3 channels"),
        ({"size": (0, 4)}, r"\(height, width\)"),
        ({"resize": 3}, "at most resize=3"),
        ({"std": (0.0,)}, "std above 0"),
        ({"mean": (0.0, 0.0)}, "1 or 3 numbers"),
        ({"interpolation": "cubic"}, "one of bilinear, bicubic"),
    ],
)
def test_bad_preprocessing_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**({"channels": 3, "size": (4, 4)} | options))


def test_cached_pictures_are_the_same_in_evaluation_and_decoded_once(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (70, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    cache = DecodedCache(tmp_path / "cache")
    options = {"size": 16, "resize": 20, "boxes": [(5.0, 5.0, 45.0, 65.0)]}
    plain = ImageFiles([tmp_path / "a.png"], [0], ["a"], **options)
    cached = ImageFiles([tmp_path / "a.png"], [0], ["a"], cache=cache, **options)
    assert torch.equal(cached[0][0], plain[0][0]) and cached.decoded(0).shape == (3, 30, 20)
    monkeypatch.setattr(ImageFiles, "_from_file", lambda self, index: pytest.fail("decoded again"))
    expected = cached[0][0]
    monkeypatch.undo()
    assert torch.equal(expected, plain[0][0])
    (file,) = (tmp_path / "cache").rglob("*.npy")
    file.write_bytes(file.read_bytes()[:50])  # a full disk, say
    assert torch.equal(cached[0][0], plain[0][0])
    Image.fromarray(255 - pixels).save(tmp_path / "a.png")
    assert torch.equal(cached[0][0], plain[0][0]) and not torch.equal(plain[0][0], expected)


def test_a_cache_that_cant_be_written_is_one_sentence(tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    data = ImageFiles([tmp_path / "a.png"], [0], ["a"], cache=DecodedCache(tmp_path / "file"))
    with pytest.raises(UserError, match="cache_dir .*file can't be written"):
        data[0]


def photograph(path, **options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}])
def test_what_decoding_a_jpeg_stumbles_over_is_found_before_training(options, tmp_path):
    """The check reads no pixels of most JPEG files, and must miss none that decoding refuses."""
    path, draws = tmp_path / "a.jpg", np.random.default_rng(1)
    whole = photograph(path, **options)
    assert faults([str(path)]) == {}
    refused = 0
    for _ in range(20):
        start = int(draws.integers(len(whole) // 4, len(whole) - 300))
        path.write_bytes(whole[:start] + draws.bytes(200) + whole[start + 200 :])
        try:
            open_picture(path)
        except UserError:
            refused += 1
            assert faults([str(path)])
    assert refused


def test_damage_that_can_be_decoded_is_found_where_there_are_checksums(tmp_path):
    """What the docs say: a changed byte is found in every PNG; a JPEG is another picture then."""
    for name, found in (("a.png", True), ("a.jpg", False)):
        path = tmp_path / name
        content = bytearray(photograph(path))
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert bool(faults([str(path)])) == found


def test_whatever_a_decoder_raises_is_one_sentence(tmp_path, monkeypatch):
    def fail(self):
        raise RuntimeError("Failed to decode\nframe 0")  # as the one for AVIF does

    photograph(tmp_path / "a.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(UserError, match=r"a.png can't be read \(Failed to decode frame 0\); unpack or fetch it again"):
        open_picture(tmp_path / "a.png")

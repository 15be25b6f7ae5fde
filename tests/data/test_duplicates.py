"""Duplicates: the same picture, one scaled and encoded again, and pictures that are only of one class."""

import io

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from metric_lightning.data import Batch
from metric_lightning.data.duplicates import ALIKE, Looks, contrary, exact, looks_of, near


def photograph(seed: int, side: int = 64) -> Image.Image:
    """Smooth random colours."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def batch(pictures: list[Image.Image]) -> Batch:
    inputs = torch.stack([torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 255 for picture in pictures])
    return Batch(inputs, torch.arange(len(inputs)), torch.arange(len(inputs)))


def encoded_again(picture: Image.Image) -> Image.Image:
    content = io.BytesIO()
    picture.resize((40, 40)).save(content, "JPEG", quality=60)
    return Image.open(content).convert("RGB").resize(picture.size)


def test_equal_and_nearly_equal_pictures_are_told_apart():
    pictures = [photograph(seed) for seed in range(20)]
    others = [photograph(seed) for seed in range(100, 120)]
    first = looks_of([batch(pictures[:12]), batch(pictures[12:])])
    second = looks_of([batch([others[0], pictures[7], encoded_again(pictures[15]), *others[1:]])])
    assert exact(first.digests, second.digests) == [(7, 1)]
    assert near(first, second) == [(15, 2)]
    assert near(first, Looks([], torch.empty(0, 256))) == []


def test_near_agrees_with_numpy_and_pictures_of_one_colour_are_never_alike():
    pictures = [photograph(seed) for seed in range(30)] + [Image.new("RGB", (64, 64), "grey")] * 2
    looks = looks_of([batch(pictures)])
    thumbnails = np.stack(
        [np.asarray(picture, float).mean(2).reshape(16, 4, 16, 4).mean((1, 3)).ravel() for picture in pictures[:30]]
    )
    expected = np.corrcoef(thumbnails)
    found = (looks.thumbnails[:30] @ looks.thumbnails[:30].T).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert not looks.thumbnails[30:].any()
    renamed = looks._replace(digests=[b"x" + digest for digest in looks.digests])
    rows = np.flatnonzero((expected >= 0.2).sum(1) > 1)  # something besides itself
    assert {place for _, place in near(looks, renamed, alike=0.2)} >= set(rows.tolist())


def test_real_digits_of_one_class_are_no_duplicates():
    """Different scans of one digit hardly ever pass for one picture."""
    images = torch.from_numpy(load_digits().images).float()[:, None] / 16
    labels = torch.from_numpy(load_digits().target)
    images = torch.nn.functional.interpolate(images, size=32, mode="bilinear")
    looks = looks_of([Batch(images, labels, torch.arange(len(images)))])
    half = len(images) // 2
    first, second = (Looks(looks.digests[a:b], looks.thumbnails[a:b]) for a, b in ((0, half), (half, len(images))))
    assert len(near(first, second, ALIKE)) < 0.01 * half


def test_one_picture_under_two_labels():
    pictures = [photograph(0), photograph(1), photograph(0), photograph(0), photograph(1)]
    looks = looks_of([batch(pictures)])
    assert contrary(looks, torch.tensor([0, 1, 0, 2, 3])) == [(0, 3), (1, 4)]

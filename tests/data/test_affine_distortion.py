"""Affine distortions: each part alone against what it must do, and how often each is drawn."""

import math

import pytest
import torch

from metric_lightning.data import AffineDistortion


def distorted(values: list[float], size: int = 41) -> torch.Tensor:
    """Return where the point (row 8, column 26 of 41: y = -12, x = 6 from the centre) lands, as (x, y)."""
    distortion = AffineDistortion()
    angle, shear_x, shear_y, scale_x, scale_y, shift_x, shift_y = values
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    forwards = torch.tensor([[cosine, -sine], [sine, cosine]]) @ torch.tensor(
        [[1.0, float(shear_x)], [float(shear_y), 1.0]]
    )
    forwards = (forwards @ torch.diag(torch.tensor([float(scale_x), float(scale_y)]))).flatten().tolist()
    params = {"forwards": forwards, "shift": (shift_x, shift_y)}
    image = torch.zeros(1, size, size)
    middle = size // 2
    image[0, middle - 12, middle + 6] = 1.0
    found = distortion.transform(image, params)[0]
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([(found * column).sum(), (found * row).sum()]) / found.sum() - middle


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([0, 0, 0, 1, 1, 0, 0], (6, -12)),
        ([90, 0, 0, 1, 1, 0, 0], (12, 6)),  # (x, y) to (-y, x); y goes down, so this is clockwise as one sees it
        ([0, 0.25, 0, 1, 1, 0, 0], (3, -12)),
        ([0, 0, 0.5, 1, 1, 0, 0], (6, -9)),
        ([0, 0, 0, 0.5, 1, 0, 0], (3, -12)),
        ([0, 0, 0, 1, 1.5, 0, 0], (6, -18)),
        ([0, 0, 0, 1, 1, 2, -3], (8, -15)),
    ],
)
def test_a_point_goes_where_each_part_sends_it(values, place):
    torch.testing.assert_close(distorted(values), torch.tensor([float(place[0]), float(place[1])]), atol=0.35, rtol=0)


def test_each_part_is_drawn_with_its_probability_and_in_its_range():
    torch.manual_seed(0)
    distortion = AffineDistortion(rotation=0, shear=0, shift=2, probability=0.5)
    drawn = [distortion.make_params([]) for _ in range(400)]
    shifts = torch.tensor([params["shift"] for params in drawn])
    scales = torch.tensor([params["forwards"][::3] for params in drawn])
    assert 0.43 < (shifts == 0).double().mean() < 0.57 and 0.43 < (scales == 1.0).double().mean() < 0.57
    assert shifts.abs().max() <= 2 and shifts.abs().max() > 1.9
    assert scales.min() >= 0.8 and scales.max() <= 1.2 and scales.min() < 0.82 and scales.max() > 1.18


def test_nothing_changes_with_probability_0_and_types_stay():
    image = torch.randint(0, 256, (1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    torch.testing.assert_close(AffineDistortion(probability=0.0)(image), image, atol=0, rtol=0)
    assert AffineDistortion()(image).dtype == torch.uint8
    assert AffineDistortion()(image.float() / 255).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rotation": -1}, "rotation must be at least 0, got -1"),
        ({"scale": (1.2, 0.8)}, r"scale must be \(least, largest\)"),
        ({"probability": 1.5}, r"probability must lie in \[0, 1\], got 1.5"),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        AffineDistortion(**arguments)

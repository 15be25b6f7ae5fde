import pytest
import torch

from metric_lightning.callbacks.images import as_images
from metric_lightning.callbacks.samples import stratified_choice


def test_classes_have_equal_shares_as_far_as_they_go():
    labels = torch.tensor([0] * 50 + [1] * 3 + [5] * 20)[torch.randperm(73)]
    chosen = stratified_choice(labels, 23, seed=1)
    assert labels[chosen].bincount().tolist() == [10, 3, 0, 0, 0, 10]
    assert chosen.tolist() == sorted(set(chosen.tolist()))


@pytest.mark.parametrize("most, expected", [(0, 0), (1, 1), (7, 7), (100, 7)])
def test_at_most_so_many(most, expected):
    assert len(stratified_choice(torch.arange(7) % 3, most)) == expected


def test_of_too_many_classes_those_chosen_have_several_samples():
    labels = torch.cat([torch.arange(100).repeat(3), torch.arange(100, 200)])
    chosen = stratified_choice(labels, 20, seed=1, at_least=3)
    counts = labels[chosen].bincount(minlength=200)
    assert counts.sum() == 18 and counts.unique().tolist() == [0, 3] and counts[100:].sum() == 0
    assert torch.equal(stratified_choice(labels, 300), stratified_choice(labels, 300, at_least=1))
    assert stratified_choice(torch.arange(9) % 3, 6, at_least=3).unique().tolist() != []


def test_the_choice_is_a_function_of_labels_and_seed_and_leaves_the_global_generator_alone():
    labels = torch.randint(0, 5, (200,))
    state = torch.get_rng_state()
    first = stratified_choice(labels, 50, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(10)
    assert torch.equal(first, stratified_choice(labels, 50, seed=3))
    assert not torch.equal(first, stratified_choice(labels, 50, seed=4))


def test_every_sample_is_as_likely_as_any_other_of_its_class():
    counts = torch.zeros(10)
    for seed in range(2000):
        counts[stratified_choice(torch.zeros(10).long(), 3, seed)] += 1
    assert (counts / 2000 - 0.3).abs().max() < 0.05


def test_empty_labels_give_an_empty_choice():
    assert len(stratified_choice(torch.zeros(0).long(), 5)) == 0


def test_pictures_undo_a_normalisation():
    pixels = torch.randint(0, 256, (30, 3, 8, 8), dtype=torch.uint8)
    pixels[0, :, 0, 0], pixels[0, :, 0, 1] = 0, 255
    normalised = (pixels / 255 - torch.tensor([0.1, 0.5, 0.9])[:, None, None]) / torch.tensor([0.2, 1, 3])[
        :, None, None
    ]
    assert (as_images(normalised).int() - pixels.int()).abs().max() <= 1


@pytest.mark.parametrize("shape", [(4, 7), (4, 2, 5, 5), (0, 1, 5, 5)])
def test_what_is_no_picture_gives_none(shape):
    assert as_images(torch.zeros(shape)) is None


def test_constant_pictures_are_black():
    assert as_images(torch.full((2, 1, 3, 3), 7.0)).unique().tolist() == [0]

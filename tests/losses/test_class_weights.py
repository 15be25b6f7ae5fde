"""What the contract does not reach: sizes, labels, blocks of rows, embeddings exactly at a class weight."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from metric_lightning.losses import (
    ArcFaceLoss,
    CosFaceLoss,
    InstanceLoss,
    LargeMarginSoftmaxLoss,
    NormalizedSoftmaxLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
    SoftmaxLoss,
    SoftTripleLoss,
    SphereFaceLoss,
    SubCenterArcFaceLoss,
    blocks,
)
from metric_lightning.losses.sub_center_arcface import largest_score

LOSSES: list[Callable[..., Any]] = [
    ArcFaceLoss,
    CosFaceLoss,
    InstanceLoss,
    LargeMarginSoftmaxLoss,
    NormalizedSoftmaxLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
    SoftTripleLoss,
    SoftmaxLoss,
    SphereFaceLoss,
    SubCenterArcFaceLoss,
]
each_loss = pytest.mark.parametrize("make", LOSSES, ids=lambda make: make.__name__)


def gradients(loss: Any, x: Tensor, labels: Tensor) -> list[Tensor]:
    value = loss(x, labels)
    return [value.detach(), *torch.autograd.grad(value, [x, *loss.parameters()])]


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_finite_at_a_class_weight_and_opposite_to_it(make: Callable[..., Any], dtype: torch.dtype, sign: int):
    loss = make(num_classes=4, embedding_dim=3).to(dtype)
    with torch.no_grad():
        loss.weight[..., 1, :] = loss.weight[..., 0, :]  # two classes at one place: a tie
        if loss.weight.ndim == 3:
            loss.weight[1:] = loss.weight[0]  # all centers of a class too
    rows = loss.weight.detach().reshape(-1, 3)[:4]
    x = (sign * torch.cat([rows, 2 * rows, torch.eye(3, dtype=dtype)])).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2])
    assert all(item.isfinite().all() for item in gradients(loss, x, labels))


def test_of_ties_among_sub_centers_the_first_takes_the_gradient():
    scores = torch.randint(0, 3, (7, 4, 5), generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    weights = torch.randn(7, 5, dtype=torch.float64)
    (found,) = torch.autograd.grad(largest_score(scores), scores, weights)
    expected = torch.zeros_like(scores)
    for i in range(7):
        for c in range(5):
            each = scores[i, :, c].tolist()
            expected[i, each.index(max(each)), c] = weights[i, c]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@each_loss
def test_blocks_of_rows_give_the_same(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    loss = make(num_classes=5, embedding_dim=4).double()
    x = torch.randn(10, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(10) % 5
    expected = gradients(loss, x, labels)
    monkeypatch.setattr(blocks, "automatic_block_size", lambda *_: 3)
    torch.testing.assert_close(gradients(loss, x, labels), expected, rtol=1e-12, atol=1e-12)


def test_learnt_temperature_in_blocks(monkeypatch: pytest.MonkeyPatch):
    test_blocks_of_rows_give_the_same(
        lambda **sizes: NormalizedSoftmaxLoss(learn_temperature=True, **sizes), monkeypatch
    )


@each_loss
@pytest.mark.parametrize("wrong", [-1, 4, 2**40])
def test_a_label_out_of_range_is_named(make: Callable[..., Any], wrong: int):
    loss = make(num_classes=4, embedding_dim=3)
    with pytest.raises(ValueError, match=f"labels must be 0 to 3, got {wrong}$"):
        loss(torch.randn(2, 3), torch.tensor([0, wrong]))


def test_labels_must_be_integers_of_one_dimension():
    loss = SoftmaxLoss(4, 3)
    with pytest.raises(ValueError, match="must be integers"):
        loss(torch.randn(2, 3), torch.zeros(2))
    with pytest.raises(ValueError, match=r"got torch.int64 of shape \(2, 4\)"):
        loss(torch.randn(2, 3), torch.zeros(2, 4, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_labels_of_any_integer_type(dtype: torch.dtype):
    loss, x = SoftmaxLoss(4, 3), torch.randn(4, 3)
    torch.testing.assert_close(loss(x, torch.arange(4).to(dtype)), loss(x, torch.arange(4)), rtol=0, atol=0)


def test_labels_above_2_to_24_are_told_apart():
    first = 2**24
    loss = InstanceLoss(first + 2, 1)
    with torch.no_grad():
        loss.weight.zero_()[first + 1] = 3.0
        values = [loss(torch.ones(1, 1), torch.tensor([first + k])) for k in (0, 1)]
    torch.testing.assert_close(values[0] - values[1], torch.tensor(3.0))


@each_loss
def test_sizes_come_late_or_with_the_constructor(make: Callable[..., Any]):
    late = make()
    with pytest.raises(RuntimeError, match="has no weights yet"):
        late(torch.randn(2, 3), torch.tensor([0, 1]))
    late.build(4, 3)
    weight = late.weight
    late.build(4, 3)
    assert late.weight is weight
    assert make(num_classes=4, embedding_dim=3).weight.shape == weight.shape
    with pytest.raises(ValueError, match="num_classes is 4, but the data have 5"):
        late.build(5, 3)
    with pytest.raises(ValueError, match="embedding_dim is 3, but the network gives 2"):
        late.build(4, 2)
    with pytest.raises(ValueError, match="number of classes is not known"):
        make().build(None, 3)
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 3"):
        make(num_classes=0, embedding_dim=3)


@each_loss
def test_weights_in_half_precision(make: Callable[..., Any]):
    loss = make(num_classes=4, embedding_dim=3).half()
    value = loss(torch.randn(4, 3).half(), torch.arange(4))
    value.backward()
    assert value.dtype == torch.float32 and loss.weight.grad.dtype == torch.float16


def test_the_first_of_equal_sub_centers_takes_the_gradient():
    loss = SubCenterArcFaceLoss(2, 2, sub_centers=3)
    with torch.no_grad():
        loss.weight[:] = torch.tensor([[3.0, 4.0], [4.0, -3.0]])
    loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).backward()
    assert loss.weight.grad[0].any() and not loss.weight.grad[1:].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArcFaceLoss(margin=28.6), "margin must be 0 to pi, in radians, got 28.6"),
        (lambda: CosFaceLoss(scale=0.0), "scale must be a finite number above 0, got 0.0"),
        (lambda: SphereFaceLoss(margin=1.5), "margin must be a whole number, got 1.5"),
        (lambda: NormalizedSoftmaxLoss(temperature=-1.0), "temperature must be a finite number above 0, got -1.0"),
        (lambda: SoftTripleLoss(centers=0), "centers must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_named(make: Callable[[], Any], message: str):
    with pytest.raises(ValueError, match=message):
        make()

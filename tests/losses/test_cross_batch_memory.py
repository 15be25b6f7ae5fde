"""A memory over many steps: against a plain list, over ranks, saved and restored."""

from typing import Any

import pytest
import torch
from torch import Tensor

from metric_lightning.losses import (
    BatchInstanceLoss,
    ContrastiveLoss,
    CrossBatchMemory,
    SoftmaxLoss,
    TripletMarginLoss,
    WeightedSum,
)
from metric_lightning.losses.base import reduce_terms
from metric_lightning.miners import Angular, SemiHardNegative
from metric_lightning.relevance import MultiLabel
from metric_lightning.types import Pairs, Ratio, References


def steps(number: int, rows: int = 4, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(rows, 3, generator=generator), torch.randint(0, 3, (rows,), generator=generator))
        for _ in range(number)
    ]


def memory(size: int = 10, **options: Any) -> CrossBatchMemory:
    return CrossBatchMemory(TripletMarginLoss(0.5), size, **options)


@pytest.mark.parametrize("rows", [1, 4, 10, 13])
@pytest.mark.parametrize("start_step", [0, 2])
def test_columns_are_the_batch_and_the_last_remembered(rows: int, start_step: int):
    loss, plain = memory(start_step=start_step), TripletMarginLoss(0.5)
    kept: list[tuple[Tensor, Tensor]] = []
    for step, (x, labels) in enumerate(steps(8, rows)):
        y = torch.cat([x, *(row[None] for row, _ in kept)])
        y_labels = torch.cat([labels, *(label[None] for _, label in kept)])
        expected = plain(x, labels, References(y, y_labels, torch.arange(rows)))
        torch.testing.assert_close(loss(x, labels), expected)
        if step >= start_step:
            kept = [*kept, *zip(x, labels, strict=True)][-10:]
    assert int(loss.filled) == len(kept)


def test_the_papers_two_losses_of_popular_code():
    """Theirs is the second of the two: the loss against a memory that holds the batch, as a constant."""
    theirs = pytest.importorskip("pytorch_metric_learning.losses")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    inner = ContrastiveLoss(margin=2.0, average="active", power=1)
    loss = CrossBatchMemory(inner, 8, memory_weight=0.5)
    distance = distances.LpDistance(normalize_embeddings=False)
    peer = theirs.CrossBatchMemory(theirs.ContrastiveLoss(0, 2, distance=distance), 3, memory_size=12)
    for step, (x, labels) in enumerate(steps(6)):
        x.requires_grad_()
        expected = peer(x, labels) * (0.5 if step else 0) + inner(x, labels)
        value = loss(x, labels)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(*(torch.autograd.grad(item, x) for item in (value, expected)))


def test_gradient_reaches_the_batch_and_not_the_memory():
    loss, plain = memory(), TripletMarginLoss(0.5)
    (first, first_labels), (second, second_labels) = steps(2)
    first.requires_grad_()
    loss(first, first_labels)
    x = second.clone().requires_grad_()
    loss(x, second_labels).backward()
    assert first.grad is None and not loss.embeddings.requires_grad
    again = second.clone().requires_grad_()
    columns = References(torch.cat([again, first.detach()]), torch.cat([second_labels, first_labels]), torch.arange(4))
    plain(again, second_labels, columns).backward()
    torch.testing.assert_close(x.grad, again.grad)


def test_backward_after_the_memory_has_moved_on():
    loss = memory(size=4)
    batches = steps(3)
    loss(*batches[0])
    x = batches[1][0].clone().requires_grad_()
    value = loss(x, batches[1][1])
    loss(*batches[2])  # overwrites what the value was taken from
    value.backward()
    assert x.grad is not None and x.grad.any()


def test_evaluation_uses_the_memory_and_leaves_it():
    loss = memory()
    batches = steps(2)
    loss(*batches[0])
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss.eval()
    values = [loss(*batches[1]) for _ in range(2)]
    assert values[0] == values[1] != TripletMarginLoss(0.5)(*batches[1])
    torch.testing.assert_close(dict(loss.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("done", [0, 1, 5])
def test_restored_it_goes_on_where_it_stood(built: bool, done: int):
    loss, other = memory(start_step=1), memory(start_step=1)
    batches = steps(done + 4)
    for batch in batches[:done]:
        loss(*batch)
    if built:
        other.build(None, 3)
    other.load_state_dict(loss.state_dict())
    for batch in batches[done:]:
        assert torch.equal(loss(*batch), other(*batch))
    assert torch.equal(loss.position, other.position)


def test_another_size_is_an_error():
    loss = memory(size=10)
    loss(*steps(1)[0])
    with pytest.raises(RuntimeError, match="size mismatch for embeddings"):
        memory(size=9).load_state_dict(loss.state_dict())
    other = memory(size=10)
    other.build(None, 5)
    with pytest.raises(RuntimeError, match="size mismatch for embeddings"):
        other.load_state_dict(loss.state_dict())


def test_ranks_hold_the_same_memory_and_add_up_to_one_process():
    """Each rank its rows against the gathered batch; the second has one row, and random draws are the same."""
    inner = {"margin": 0.5, "miner": SemiHardNegative()}
    one = CrossBatchMemory(TripletMarginLoss(**inner), 10)
    ranks = [CrossBatchMemory(TripletMarginLoss(0.5, miner=SemiHardNegative()), 10) for _ in range(2)]
    for x, labels in steps(5):
        terms = []
        for rank, rows in zip(ranks, (slice(0, 3), slice(3, 4)), strict=True):
            columns = References(x, labels, torch.arange(4)[rows])
            terms.append(rank.terms(x[rows], labels[rows], columns)["triplets"])
        total = Ratio(sum(part.total for part in terms), sum(part.count for part in terms))
        torch.testing.assert_close(reduce_terms({"triplets": total}), one(x, labels))
        for rank in ranks:
            assert torch.equal(rank.embeddings, one.embeddings) and torch.equal(rank.position, one.position)


@pytest.mark.parametrize("block_size", [1, 3])
def test_blocks_of_the_inner_loss(block_size: int):
    whole = CrossBatchMemory(ContrastiveLoss(), 10)
    blocked = CrossBatchMemory(ContrastiveLoss(block_size=block_size), 10)
    for x, labels in steps(4):
        results = []
        for loss in (whole, blocked):
            leaf = x.clone().requires_grad_()
            value = loss(leaf, labels)
            value.backward()
            results.append((value.detach(), leaf.grad))
        torch.testing.assert_close(results[1], results[0])


def test_labels_above_2_to_24_do_not_merge():
    loss = CrossBatchMemory(ContrastiveLoss(margin=1.0), 4)
    loss(torch.zeros(1, 2), torch.tensor([2**24]))
    torch.testing.assert_close(loss(torch.zeros(1, 2), torch.tensor([2**24 + 1])), torch.tensor(0.5))


def test_labels_of_many_columns():
    loss = CrossBatchMemory(ContrastiveLoss(margin=1.0, relevance=MultiLabel()), 4)
    loss(torch.tensor([[0.0]]), torch.tensor([[1, 0, 1]]))
    torch.testing.assert_close(loss(torch.tensor([[2.0]]), torch.tensor([[0, 0, 1]])), torch.tensor(2.0))
    other = CrossBatchMemory(ContrastiveLoss(margin=1.0, relevance=MultiLabel()), 4)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.labels, loss.labels)


@pytest.mark.parametrize("rows", [[True] * 4, [True, False, True, False], [False, True, True, True]])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_remembered(rows: list[bool], bad: float):
    """The memory is then what the good rows alone would have made it, whether it was empty, or went round its end."""
    spoilt = torch.tensor(rows)
    for before in range(4):
        loss, other = memory(size=6), memory(size=6)
        *batches, (x, labels), after = steps(before + 2)
        for batch in batches:
            loss(*batch), other(*batch)
        torn = x.clone()
        torn[spoilt, 1] = bad
        loss(torn, labels)
        other.terms(x[:0], labels[:0], References(x[~spoilt], labels[~spoilt], None))
        assert {name: value.tolist() for name, value in loss.state_dict().items()} == {
            name: value.tolist() for name, value in other.state_dict().items()
        }
        assert loss(*after).isfinite()


def test_labels_of_other_integer_types_follow():
    loss = CrossBatchMemory(ContrastiveLoss(margin=1.0), 4)
    for kind in (torch.int32, torch.int64, torch.uint8, torch.int64):
        assert loss(torch.zeros(1, 2), torch.ones(1, dtype=kind)) == 0
        assert loss.labels.dtype == torch.int64
    torch.testing.assert_close(loss(torch.zeros(1, 2), torch.tensor([2**40])), torch.tensor(0.5))
    assert loss.labels.max() == 2**40


@pytest.mark.parametrize("training", [True, False])
def test_embeddings_and_labels_of_another_shape_are_refused_in_a_sentence(training: bool):
    loss = CrossBatchMemory(ContrastiveLoss(), 4)
    loss(torch.zeros(1, 3), torch.tensor([0]))
    loss.train(training)
    with pytest.raises(ValueError, match=r"embeddings have shape \(2, 5\), those remembered \(4, 3\)"):
        loss(torch.zeros(2, 5), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"labels have shape \(2, 7\), those remembered \(4,\)"):
        loss(torch.zeros(2, 3), torch.zeros(2, 7, dtype=torch.int64))


def test_what_it_refuses():
    with pytest.raises(ValueError, match="SoftmaxLoss compares with class weights"):
        CrossBatchMemory(SoftmaxLoss(), 4)
    with pytest.raises(ValueError, match="WeightedSum compares with class weights"):
        CrossBatchMemory(WeightedSum([SoftmaxLoss(), ContrastiveLoss()]), 4)
    with pytest.raises(ValueError, match="the loss's miner compares within the batch alone; leave out the memory"):
        CrossBatchMemory(WeightedSum([ContrastiveLoss(), TripletMarginLoss(miner=Angular())]), 4)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        memory(size=0)
    with pytest.raises(ValueError, match="memory_weight must be a finite number at least 0, got -1"):
        memory(memory_weight=-1.0)
    with pytest.raises(ValueError, match="start_step must be at least 0, got -1"):
        memory(start_step=-1)
    none = torch.zeros(1, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match="pairs can't be given"):
        memory()(torch.zeros(1, 3), torch.tensor([0]), pairs=Pairs(none, none))


def test_batch_instance_in_blocks():
    x, labels = torch.randn(7, 3), torch.zeros(7, dtype=torch.int64)
    whole, blocked = BatchInstanceLoss(block_size=100), BatchInstanceLoss(block_size=3)
    torch.testing.assert_close(blocked(x, labels), whole(x, labels))

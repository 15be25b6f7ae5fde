"""The contract of every loss (house rule 7). A name in `losses.__all__` without a case fails."""

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from metric_lightning import losses
from metric_lightning.functional import log_sums
from metric_lightning.losses import MetricLoss, PairwiseLoss
from metric_lightning.parts import describe
from metric_lightning.types import Pairs, Ratio, References
from tests.contract.case import (
    BATCHES,
    CLASSES,
    DIMENSIONS,
    PAIRWISE_BATCHES,
    Batch,
    Case,
    all_cases,
    class_numbers,
    random_rows,
    without_a_case,
)
from tests.contract.parts_from_plain import rebuild

CASES: list[Case] = all_cases("CASES")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_every_public_loss_has_a_case():
    assert not without_a_case(losses, CASES)


def test_a_public_function_needs_a_case_as_a_class_does():
    def half(embeddings: Tensor, labels: Tensor) -> Tensor:
        return embeddings.sum() / 2

    package = SimpleNamespace(__all__=["MetricLoss", "ContrastiveLoss", "half"], half=half, MetricLoss=MetricLoss)
    package.ContrastiveLoss = losses.ContrastiveLoss
    assert without_a_case(package, CASES) == ["half"]


def test_names_of_cases_differ():
    assert len({case.name for case in CASES}) == len(CASES)


def apply_exemption(case: Case, test: str) -> None:
    if test in case.exempt:
        pytest.skip(case.exempt[test])


def value_and_gradients(case: Case, loss: Any, batch: Batch, oracle: bool = False) -> list[Tensor]:
    """Return the value with the gradients for embeddings, references and the loss's parameters."""
    x = batch.embeddings.clone().requires_grad_()
    labels = case.labels(batch.labels)
    references, inputs = None, [x]
    if batch.references is not None:
        y = batch.references.embeddings.clone().requires_grad_()
        references = References(y, case.labels(batch.references.labels), batch.references.own)
        inputs.append(y)
    inputs += list(loss.parameters())
    if oracle:
        columns = References(x, labels, torch.arange(len(x))) if references is None else references
        pairs = batch.pairs or case.pairs(labels, columns.labels, columns.own)
        value = case.oracle(loss, x, labels, columns, pairs)
    else:
        value = loss(x, labels, references, batch.pairs)
        assert value.shape == ()
        assert value.requires_grad, "the loss must take part in backward whatever the batch holds"
    if not value.requires_grad:
        return [value, *(torch.zeros_like(item) for item in inputs)]
    found = torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)
    return [value.detach(), *found]


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def batch_of(case: Case, name: str) -> Batch:
    if name in PAIRWISE_BATCHES:
        if not case.pairwise:
            pytest.skip("compares with weights of classes, not with references")
        return PAIRWISE_BATCHES[name]()
    return BATCHES[name]()


@each_case
@pytest.mark.parametrize("name", [*BATCHES, *PAIRWISE_BATCHES])
def test_value_and_gradients_equal_the_oracle(case: Case, name: str):
    apply_exemption(case, name)
    batch = batch_of(case, name)
    found = value_and_gradients(case, case.loss(), batch)
    expected = value_and_gradients(case, case.loss(), batch, oracle=True)
    assert_close(found, expected)


@each_case
def test_large_matrices_are_reckoned_as_small_ones_are(case: Case, monkeypatch: pytest.MonkeyPatch):
    """Of a large matrix positives are gathered first; the batches of the other tests are small."""
    names = (*BATCHES, *(PAIRWISE_BATCHES if case.pairwise else ()))
    batches = [batch_of(case, name) for name in names if name not in case.exempt]
    expected = [value_and_gradients(case, case.loss(), batch) for batch in batches]
    monkeypatch.setattr(log_sums, "_SMALL", -1)
    for batch, values in zip(batches, expected, strict=True):
        assert_close(value_and_gradients(case, case.loss(), batch), values, 1e-12)


@each_case
def test_an_empty_batch_costs_nothing(case: Case):
    for item in value_and_gradients(case, case.loss(), BATCHES["empty"]()):
        assert not item.any()


@each_case
def test_no_pairs_cost_nothing(case: Case):
    apply_exemption(case, "no_pairs")
    batch = batch_of(case, "given_pairs")
    nothing = torch.zeros(8, 8, dtype=torch.bool)
    for item in value_and_gradients(case, case.loss(), batch._replace(pairs=Pairs(nothing, nothing))):
        assert not item.any()


@each_case
def test_gradcheck(case: Case):
    apply_exemption(case, "gradcheck")
    loss = case.loss().eval()
    batch = BATCHES["random"]()
    x = batch.embeddings.clone().requires_grad_()
    labels = case.labels(batch.labels)

    def value(embeddings: Tensor) -> Tensor:
        return copy.deepcopy(loss)(embeddings, labels)

    assert torch.autograd.gradcheck(value, x)


@each_case
def test_order_of_samples_does_not_matter(case: Case):
    apply_exemption(case, "permutation")
    batch = BATCHES["random"]()
    order = torch.randperm(8)
    value, gradient, *own = value_and_gradients(case, case.loss(), batch)
    shuffled = batch._replace(embeddings=batch.embeddings[order], labels=batch.labels[order])
    assert_close(value_and_gradients(case, case.loss(), shuffled), [value, gradient[order], *own])


@each_case
@pytest.mark.parametrize("block_size", [1, 3, 7])
def test_blocks_equal_the_whole(case: Case, block_size: int):
    whole, blocked = case.loss(), case.loss()
    if not isinstance(whole, PairwiseLoss):
        pytest.skip("has no blocks")
    whole.block_size, blocked.block_size = 100, block_size
    for name in ("random", "empty", "all_classes_distinct", *PAIRWISE_BATCHES):
        batch = {**BATCHES, **PAIRWISE_BATCHES}[name]()
        expected = value_and_gradients(case, copy.deepcopy(whole), batch)
        assert_close(value_and_gradients(case, copy.deepcopy(blocked), batch), expected, 1e-12)


@each_case
def test_shards_of_the_rows_add_up_to_the_whole(case: Case):
    """What N ranks do: each its rows against everyone's columns, totals and counts summed. One rank has no rows."""
    whole = case.loss()
    if not whole.row_wise:
        pytest.skip("is computed on the gathered batch by every rank")
    batch = BATCHES["random"]()
    expected = value_and_gradients(case, whole, batch)
    x = batch.embeddings.clone().requires_grad_()
    labels = case.labels(batch.labels)
    start = case.loss()
    ranks: list[dict[str, Ratio]] = []
    for rows in (slice(0, 3), slice(3, 3), slice(3, 8)):
        columns = References(x, labels, torch.arange(8)[rows])
        rank = copy.deepcopy(start)
        for parameter, shared in zip(rank.parameters(), start.parameters(), strict=True):
            parameter.data = shared.data
        ranks.append((rank, rank.terms(x[rows], labels[rows], columns if case.pairwise else None)))
    assert all(set(terms) == set(ranks[0][1]) for _, terms in ranks)
    sums = {
        name: (sum(terms[name].total for _, terms in ranks), sum(terms[name].count for _, terms in ranks))
        for name in ranks[0][1]
    }
    value = sum(total / count.masked_fill(count == 0, 1) for total, count in sums.values())
    own = [list(rank.parameters()) for rank, _ in ranks]
    inputs = [x, *(parameter for rank in own for parameter in rank)]
    gradients = list(torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True))
    each = len(own[0])
    shared = [sum(gradients[1 + k + each * rank] for rank in range(3)) for k in range(each)]
    assert_close([value.detach(), gradients[0], *shared], expected, 1e-12)


@each_case
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_evaluates_without_gradients_as_with_them(case: Case, mode: Any):
    batch = BATCHES["random"]()
    for block_size in (None, 3):
        with_gradients, without = case.loss(), case.loss()
        if block_size is not None and isinstance(without, PairwiseLoss):
            with_gradients.block_size = without.block_size = block_size
        expected = with_gradients(batch.embeddings.clone().requires_grad_(), case.labels(batch.labels))
        with mode():
            found = without(batch.embeddings.clone(), case.labels(batch.labels))
        torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-12)


@each_case
def test_gradients_are_not_differentiated_again_without_a_word(case: Case):
    """Either there is a second derivative, and it is right, or it is refused."""
    batch = BATCHES["random"]()
    x = batch.embeddings.clone().requires_grad_()
    try:
        (gradient,) = torch.autograd.grad(case.loss()(x, case.labels(batch.labels)), x, create_graph=True)
    except RuntimeError as refused:
        assert "second derivative" in str(refused)
        return
    direction = random_rows(8, scale=1.0)
    (found,) = torch.autograd.grad((gradient * direction).sum(), x)
    sides = []
    for step in (1e-5, -1e-5):
        moved = (batch.embeddings + step * direction).requires_grad_()
        sides += torch.autograd.grad(case.loss()(moved, case.labels(batch.labels)), moved)
    torch.testing.assert_close(found, (sides[0] - sides[1]) / 2e-5, rtol=1e-4, atol=1e-4)


@each_case
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_row_that_is_not_finite_is_not_hidden(case: Case, bad: float):
    """Of a network that has diverged, or a step that overflowed: the loss must not seem to be small."""
    batch = BATCHES["random"]()
    rows = batch.embeddings.float()
    rows[3, 1] = bad
    for block_size in (None, 3):
        loss = case.loss(torch.float32)
        if block_size is not None and isinstance(loss, PairwiseLoss):
            loss.block_size = block_size
        assert not loss(rows.requires_grad_(), case.labels(batch.labels)).isfinite()


def _hard_rows(kind: str) -> tuple[Tensor, Tensor]:
    rows, labels = random_rows(8, scale=1.0), class_numbers()
    rows = 100 * rows / rows.norm(dim=1, keepdim=True)
    if kind == "duplicates":
        rows[[2, 5]], rows[3] = rows[0].clone(), rows[1].clone()
    if kind == "opposite":
        rows[[2, 5]], rows[3] = -rows[0], -rows[1]
    if kind == "zeros":
        rows[[1, 2, 3]] = 0.0
    if kind == "all_zero":
        rows = torch.zeros_like(rows)
    if kind == "one_class":
        labels = torch.zeros(8, dtype=torch.int64)
    if kind == "all_classes_distinct":
        labels = torch.arange(8)
    return rows, labels


KINDS = ["random", "duplicates", "opposite", "zeros", "all_zero", "one_class", "all_classes_distinct"]


@each_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_finite_at_norm_100_whatever_the_batch_holds(case: Case, dtype: torch.dtype):
    for kind in KINDS:
        rows, labels = _hard_rows(kind)
        loss = case.loss(torch.float32)
        x = rows.to(dtype).requires_grad_()
        value = loss(x, case.labels(labels))
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite(), kind
        assert x.grad is not None and x.grad.dtype == dtype and x.grad.isfinite().all(), kind
        for parameter in loss.parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), kind


@each_case
def test_autocast_changes_nothing(case: Case):
    batch = BATCHES["random"]()
    rows, labels = batch.embeddings.float(), case.labels(batch.labels)
    plain = case.loss(torch.float32)(rows, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = case.loss(torch.float32)(rows, labels)
    torch.testing.assert_close(cast, plain, rtol=0, atol=0)


@each_case
def test_description_rebuilds_the_loss(case: Case):
    apply_exemption(case, "describe")
    description = describe(case.make())
    again = rebuild(json.loads(json.dumps(description)))
    assert describe(again) == description
    again.build(CLASSES, DIMENSIONS)
    again = again.double()
    again.load_state_dict(case.loss().state_dict())
    batch = BATCHES["random"]()
    assert_close(value_and_gradients(case, again, batch), value_and_gradients(case, case.loss(), batch), 0)


@each_case
def test_state_dict_resumes(case: Case):
    batch = BATCHES["random"]()
    loss, other = case.loss(), case.loss()
    with torch.no_grad():
        for parameter in loss.parameters():
            parameter.add_(0.1)
    loss(batch.embeddings, case.labels(batch.labels))
    other.load_state_dict(loss.state_dict())
    assert_close(value_and_gradients(case, other, batch), value_and_gradients(case, loss, batch), 0)


@each_case
def test_equals_the_peer(case: Case):
    if case.peer is None:
        pytest.skip("no peer has the same definition")
    pytest.importorskip("pytorch_metric_learning")
    x = random_rows(24, seed=5).requires_grad_()
    labels = torch.arange(24) % 5
    expected = case.peer()(x, labels)
    value = case.loss()(x, labels)
    assert_close([value, *torch.autograd.grad(value, x)], [expected, *torch.autograd.grad(expected, x)], 1e-6)

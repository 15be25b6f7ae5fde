"""A batch embedded in chunks trains as the whole batch does, in less memory."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmarks.chunked_embedding import peak_of_a_step
from metric_lightning.errors import UserError
from metric_lightning.losses import CrossBatchMemory, MetricLoss, ProxyAnchorLoss, SoftmaxLoss, TripletMarginLoss
from metric_lightning.miners import RandomHardNegative
from metric_lightning.modules import EmbeddingModule
from metric_lightning.modules.chunks import embed_in_chunks
from metric_lightning.modules.ranks import loss_over_ranks
from tests.distributed.ranks import on_ranks
from tests.distributed.small_run import CLASSES, Sgd, SmallNet, fitted
from tests.distributed.test_fit import balanced, close

LOSSES: dict[str, Callable[[], MetricLoss]] = {
    "triplet": lambda: TripletMarginLoss(margin=0.5, miner=RandomHardNegative(seed=1)),
    "memory": lambda: CrossBatchMemory(TripletMarginLoss(margin=0.5), size=20),
    "proxy-anchor": lambda: ProxyAnchorLoss(scale=8.0),
    "softmax": SoftmaxLoss,
}


def small_network(**arguments: float) -> nn.Module:
    torch.manual_seed(3)
    network = SmallNet(**arguments)
    network.build((1, 4, 4))
    return network.double()


def gradients(network: nn.Module, loss: MetricLoss, chunk_size: int | None) -> list[Tensor]:
    """Return those after two steps, network's and loss's."""
    random = torch.Generator().manual_seed(0)
    for _ in range(2):
        inputs = torch.randn(11, 1, 4, 4, generator=random, dtype=torch.float64)
        labels = torch.randint(0, CLASSES, (11,), generator=random)
        embeddings = network(inputs) if chunk_size is None else embed_in_chunks(network, inputs, chunk_size)
        differentiated, _ = loss_over_ranks(loss, embeddings, labels)
        differentiated.backward()
    parameters = [*network.parameters(), *loss.parameters()]
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


@pytest.mark.parametrize("chunk_size", [1, 4, 11, 50])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_in_chunks_are_those_of_the_whole(name, chunk_size):
    loss = LOSSES[name]()
    loss.build(CLASSES, 5)
    loss.double()
    network = small_network()
    expected = gradients(copy.deepcopy(network), copy.deepcopy(loss), None)
    assert any(bool(gradient.any()) for gradient in expected)
    found = gradients(network, loss, chunk_size)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_dropout_draws_the_same_again():
    network = small_network(dropout=0.5)
    inputs = torch.randn(9, 1, 4, 4, dtype=torch.float64)
    torch.manual_seed(1)
    kept = torch.cat([network(chunk) for chunk in inputs.split(3)])  # even chunks of at most 4
    kept.square().sum().backward()
    expected = [parameter.grad for parameter in network.parameters()]
    again = copy.deepcopy(network)
    again.zero_grad()
    torch.manual_seed(1)
    embed_in_chunks(again, inputs, 4).square().sum().backward()
    torch.testing.assert_close([parameter.grad for parameter in again.parameters()], expected, rtol=1e-12, atol=1e-12)


def test_running_statistics_move_once_a_chunk():
    network = small_network(batch_norm=True)
    expected = copy.deepcopy(network)
    inputs = torch.randn(9, 1, 4, 4, dtype=torch.float64)
    for chunk in inputs.split(3):
        expected(chunk)
    embed_in_chunks(network, inputs, 3).sum().backward()
    torch.testing.assert_close(dict(network.named_buffers()), dict(expected.named_buffers()))


class Growing(nn.Module):
    """Its scale is another after each call, in a new tensor: what autograd keeps of the old one stays."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 3, 3)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.layer(inputs) * self.scale
        self.scale = self.scale * 1.5
        return found


@pytest.mark.parametrize(
    "layer",
    [
        Growing,
        lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 3, 3)),
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.InstanceNorm2d(3, affine=True, track_running_stats=True)),
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3, momentum=None)),
    ],
    ids=["replaced-buffer", "spectral-norm", "instance-norm", "batch-norm"],
)
def test_a_network_with_state_sees_in_the_backward_pass_what_it_saw_before(layer):
    torch.manual_seed(2)
    # Nothing comes behind that would need the recomputation to go on to the layer's end.
    network = nn.Sequential(layer(), nn.Flatten()).double()
    kept = copy.deepcopy(network)
    inputs = torch.randn(9, 1, 4, 4, dtype=torch.float64)
    for _ in range(2):
        torch.cat([kept(chunk) for chunk in inputs.split(3)]).square().sum().backward()
        embed_in_chunks(network, inputs, 4).square().sum().backward()
    gradients_of = [[parameter.grad for parameter in one.parameters()] for one in (network, kept)]
    torch.testing.assert_close(*gradients_of, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(dict(network.named_buffers()), dict(kept.named_buffers()))


def test_no_chunk_is_a_single_row_of_a_larger_batch():
    network = small_network(batch_norm=True)
    embed_in_chunks(network, torch.randn(9, 1, 4, 4, dtype=torch.float64), 4).sum().backward()


def test_no_inputs_give_no_embeddings():
    found = embed_in_chunks(small_network(), torch.zeros(0, 1, 4, 4, dtype=torch.float64), 4)
    assert found.shape == (0, 5) and found.requires_grad


def test_inputs_that_are_no_tensor_are_refused():
    with pytest.raises(UserError, match="embed_chunk_size needs inputs in one tensor .* got dict"):
        embed_in_chunks(small_network(), {"image": torch.zeros(1)}, 4)


def synchronised() -> str:
    network = nn.SyncBatchNorm.convert_sync_batchnorm(small_network(batch_norm=True))
    with pytest.raises(UserError) as refused:
        embed_in_chunks(network, torch.zeros(4, 1, 4, 4, dtype=torch.float64), 2)
    return str(refused.value)


def test_synchronised_batch_normalisation_is_refused_on_several_ranks():
    for said in on_ranks(2, synchronised):
        assert said.startswith("embed_chunk_size can't be used with synchronised batch normalisation: ")


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
def test_two_ranks_in_chunks_train_as_one_process_on_the_whole(tmp_path):
    one, two = (EmbeddingModule(SmallNet(), LOSSES["memory"](), Sgd, embed_chunk_size=size) for size in (None, 4))
    fitted(one, balanced(2), tmp_path, max_epochs=-1, max_steps=10)
    fitted(two, balanced(1), tmp_path, max_epochs=-1, max_steps=10, strategy="ddp_fork", devices=2)
    close(two, one)


def test_memory_of_a_step_in_chunks_is_a_quarter_at_most():
    whole, chunked = (peak_of_a_step(768, size) for size in (None, 48))
    assert chunked < whole / 4, f"{chunked:.0f} MB, {whole:.0f} MB"

"""Building late, describing, unit length: what holds for every network."""

import copy
import io
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from metric_lightning import networks
from metric_lightning.networks import (
    AveragedViews,
    Backbone,
    BatchHardNet,
    Conv4,
    EmbeddingNet,
    EmbeddingNetwork,
    KochNet,
    LSTMNet,
    Pixels,
    SharedTower,
    TimmBackbone,
    TorchvisionBackbone,
    TwoTowers,
)
from metric_lightning.parts import describe

NETWORKS = [
    pytest.param(EmbeddingNet, {}, id="EmbeddingNet"),
    pytest.param(BatchHardNet, {}, id="BatchHardNet"),
    pytest.param(Conv4, {"channels": 8}, id="Conv4"),
    pytest.param(KochNet, {"channels": [4, 8], "kernels": [5, 3]}, id="KochNet"),
    pytest.param(TorchvisionBackbone, {"name": "mobilenet_v3_small"}, id="TorchvisionBackbone"),
    pytest.param(
        TimmBackbone,
        {"name": "test_resnet"},
        id="TimmBackbone",
        marks=pytest.mark.skipif(find_spec("timm") is None, reason="timm isn't installed"),
    ),
]
each_network = pytest.mark.parametrize(("make", "arguments"), NETWORKS)


def test_every_public_network_is_tested() -> None:
    public = {getattr(networks, name) for name in networks.__all__}
    concrete = {item for item in public if isinstance(item, type) and issubclass(item, EmbeddingNetwork)}
    concrete -= {EmbeddingNetwork, Backbone, Pixels}  # Pixels has no embedding_dim to choose: see test_conv4
    concrete -= {LSTMNet, SharedTower, TwoTowers}  # no images: see test_lstm_net, tests/applications
    concrete -= {AveragedViews}  # around another network: see test_averaged_views
    assert concrete == {parameter.values[0] for parameter in NETWORKS}


@each_network
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 40)])
def test_embeds(make, arguments, shape) -> None:
    network = make(**arguments, embedding_dim=7, input_shape=shape).eval()
    assert network.embedding_dim == 7
    assert network.built_for == shape
    assert network(torch.randn(3, *shape)).shape == (3, 7)
    assert network(torch.randn(0, *shape)).shape == (0, 7)


@each_network
def test_built_late_equals_built_at_once(make, arguments) -> None:
    torch.manual_seed(3)
    at_once = make(**arguments, input_shape=(1, 28, 28)).eval()
    late = make(**arguments).eval()
    assert list(late.parameters()) == []
    assert late.built_for is None
    torch.manual_seed(3)
    late.build([1, 28, 28])
    inputs = torch.randn(2, 1, 28, 28)
    assert torch.equal(at_once(inputs), late(inputs))
    assert at_once.state_dict().keys() == late.state_dict().keys()


@each_network
def test_builds_once(make, arguments) -> None:
    network = make(**arguments, input_shape=(1, 28, 28))
    before = [id(parameter) for parameter in network.parameters()]
    network.build((1, 28, 28))
    assert [id(parameter) for parameter in network.parameters()] == before
    with pytest.raises(ValueError, match=r"built for inputs of shape \(1, 28, 28\).*\(3, 32, 32\)"):
        network.build((3, 32, 32))


@each_network
def test_forward_before_build_is_one_sentence(make, arguments) -> None:
    with pytest.raises(RuntimeError, match=rf"^{make.__name__} has no layers yet.*build\(") as error:
        make(**arguments)(torch.randn(1, 1, 28, 28))
    assert "\n" not in str(error.value)


@each_network
def test_refuses_bad_arguments(make, arguments) -> None:
    with pytest.raises(ValueError, match="embedding_dim must be at least 1, got 0"):
        make(**arguments, embedding_dim=0)
    with pytest.raises(ValueError, match=r"at least 1, got \(1, 0, 28\)"):
        make(**arguments, input_shape=(1, 0, 28))
    with pytest.raises(ValueError, match=r"\(channels, height, width\), got \(28, 28\)"):
        make(**arguments, input_shape=(28, 28))


@each_network
def test_description_rebuilds_it(make, arguments) -> None:
    network = make(**arguments, embedding_dim=5, normalize=True, input_shape=(1, 28, 28))
    description = describe(network)
    assert description["class_path"] == f"{make.__module__}.{make.__qualname__}"
    assert description["init_args"] == {
        **arguments,
        "embedding_dim": 5,
        "normalize": True,
        "input_shape": [1, 28, 28],
    }
    again = make(**description["init_args"])
    again.load_state_dict(network.state_dict())
    inputs = torch.randn(2, 1, 28, 28)
    assert torch.equal(network.eval()(inputs), again.eval()(inputs))


@each_network
def test_copies_and_pickles(make, arguments) -> None:
    network = make(**arguments, input_shape=(1, 28, 28)).eval()
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    inputs = torch.randn(2, 1, 28, 28)
    for other in (copy.deepcopy(network), torch.load(file, weights_only=False)):
        assert describe(other) == describe(network)
        assert torch.equal(network(inputs), other(inputs))


@each_network
def test_normalised_rows_have_unit_length(make, arguments) -> None:
    network = make(**arguments, normalize=True, input_shape=(1, 28, 28)).eval()
    embeddings = network(torch.randn(4, 1, 28, 28))
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4))


class _Scaled(EmbeddingNetwork):
    """Passes its inputs through."""

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        return nn.Identity()


def test_normalised_zero_is_zero_with_zero_gradient() -> None:
    network = _Scaled(embedding_dim=3, normalize=True)
    network.build((3,))
    inputs = torch.tensor([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0]], requires_grad=True)
    embeddings: Tensor = network(inputs)
    assert embeddings.tolist()[0] == [0.0, 0.0, 0.0]
    embeddings.sum().backward()
    assert inputs.grad is not None
    assert inputs.grad[0].tolist() == [0.0, 0.0, 0.0]
    assert inputs.grad.isfinite().all()


def test_base_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        EmbeddingNetwork(embedding_dim=2)

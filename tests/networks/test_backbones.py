"""What of a pretrained network learns, and how fast; heads; timm."""

import pytest
import torch
from torch import nn

from metric_lightning.losses import ContrastiveLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import LinearHead, MLPHead, NormalizedHead, TimmBackbone, TorchvisionBackbone
from metric_lightning.networks.backbone import batch_norms
from metric_lightning.parts import describe

SHAPE = (3, 32, 32)


def small(**options) -> TorchvisionBackbone:
    return TorchvisionBackbone("resnet18", embedding_dim=4, input_shape=SHAPE, **options)


def after_a_step(network: nn.Module) -> dict[str, set[str]]:
    """Return which parameters and which buffers a training step changes."""
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([value for value in network.parameters() if value.requires_grad], 0.1)
    network(torch.randn(4, *SHAPE)).square().sum().backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    buffers = {name for name, _ in network.named_buffers()}
    return {"parameters": changed - buffers, "buffers": changed & buffers}


def test_all_learn_unless_told_otherwise():
    changed = after_a_step(small())
    assert changed["parameters"] == {name for name, _ in small().named_parameters()} and changed["buffers"]


def test_a_frozen_trunk_never_changes():
    network = small(frozen=True)
    changed = after_a_step(network)
    assert changed == {"parameters": {"layers.head.weight", "layers.head.bias"}, "buffers": set()}
    late = TorchvisionBackbone("resnet18", frozen=True)
    late.build(SHAPE)
    assert not late.layers.trunk.training and late.layers.head.training
    late.eval()
    assert not late.layers.head.training


def test_frozen_batch_normalisation_keeps_statistics_scales_and_shifts():
    network = small(freeze_batch_norm=True)
    norms = {id(value) for layer in batch_norms(network.layers.trunk) for value in layer.parameters()}
    expected = {name for name, value in network.named_parameters() if id(value) not in norms}
    assert norms and after_a_step(network) == {"parameters": expected, "buffers": set()}


@pytest.mark.parametrize("scheduled", [False, True])
def test_the_trunk_learns_more_slowly_than_the_head(scheduled):
    options = {"scheduler": lambda o: torch.optim.lr_scheduler.ConstantLR(o, 0.5)} if scheduled else {}
    module = EmbeddingModule(small(lr_scale=0.1), ContrastiveLoss(), **options)
    made = module.configure_optimizers()
    optimizer = made["optimizer"] if scheduled else made
    rate = {id(value): group["lr"] for group in optimizer.param_groups for value in group["params"]}
    factor = 0.5 if scheduled else 1.0
    for name, value in module.network.named_parameters():
        assert rate.pop(id(value)) == pytest.approx(1e-3 * factor * (1.0 if "head" in name else 0.1))
    assert rate == {}


def test_a_frozen_trunk_is_in_no_optimizer():
    module = EmbeddingModule(small(frozen=True), ContrastiveLoss())
    (group,) = module.configure_optimizers().param_groups
    assert [tuple(value.shape) for value in group["params"]] == [(4, 512), (4,)]


def test_features_are_inputs_too():
    network = small(normalize=True, frozen=True).train()
    images = torch.randn(3, *SHAPE)
    features = network.features(images)
    assert features.shape == (3, 512) and not features.requires_grad
    assert torch.equal(network(features), network(images))
    grey = TorchvisionBackbone("resnet18", input_shape=(1, 32, 32)).eval()
    assert torch.equal(grey(grey.features(images[:, :1])), grey(images[:, :1]))


@pytest.mark.parametrize("head", [LinearHead(dropout=0.5), LinearHead(bias=False), NormalizedHead(), MLPHead(8, 2)])
def test_heads(head):
    network = small(head=head).eval()
    features = torch.randn(3, 512)
    linear = [layer for layer in network.layers.head.modules() if isinstance(layer, nn.Linear)]
    expected = features
    if type(head) is NormalizedHead:
        centred = features - features.mean(1, keepdim=True)
        expected = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    for place, layer in enumerate(linear):
        expected = expected @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        if place + 1 < len(linear):
            expected = torch.relu(expected / (1 + 1e-5) ** 0.5)  # batch normalisation before any step
    torch.testing.assert_close(network(features), expected)
    described = describe(network)["init_args"]["head"]
    assert described["class_path"].endswith(type(head).__name__)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearHead(dropout=1.0), "dropout must be from 0 to below 1, got 1.0"),
        (lambda: MLPHead(hidden_layers=0), "must be at least 1, got 512 and 0; a LinearHead has no hidden layer"),
        (lambda: small(lr_scale=0), "TorchvisionBackbone: lr_scale must be above 0, got 0; frozen: true is for 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class TestTimm:
    @pytest.fixture(autouse=True)
    def timm(self):
        return pytest.importorskip("timm")

    def test_embeds_as_the_model_does(self, tmp_path, timm):
        torch.manual_seed(0)
        theirs = timm.create_model("test_resnet", num_classes=7)
        for suffix in ("pth", "safetensors"):
            path = tmp_path / f"weights.{suffix}"
            if suffix == "pth":
                torch.save(theirs.state_dict(), path)
            else:
                pytest.importorskip("safetensors.torch").save_file(theirs.state_dict(), path)
            network = TimmBackbone("test_resnet", str(path), 5, frozen=True, input_shape=SHAPE).eval()
            images = torch.randn(2, *SHAPE)
            expected = theirs.eval().forward_head(theirs.forward_features(images), pre_logits=True)
            torch.testing.assert_close(network.features(images), expected)
            assert network(images).shape == (2, 5)

    def test_a_vision_transformer_is_made_for_the_size(self):
        network = TimmBackbone("test_vit", embedding_dim=3, input_shape=(1, 64, 64))
        assert network(torch.randn(2, 1, 64, 64)).shape == (2, 3)

    def test_bad_names_weights_and_files_are_one_sentence(self, tmp_path, timm):
        with pytest.raises(ValueError, match="name='resnet5O' is no model of timm; nearest: resnet50"):
            TimmBackbone("resnet5O")
        with pytest.raises(ValueError, match="weights='there.pth' of test_resnet is neither a file nor DEFAULT"):
            TimmBackbone("test_resnet", "there.pth", input_shape=SHAPE)
        torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "other.pth")
        with pytest.raises(ValueError, match="the weights don't fit VisionTransformer: they lack"):
            TimmBackbone("test_vit", str(tmp_path / "other.pth"), input_shape=(3, 160, 160))
        (tmp_path / "broken.safetensors").write_bytes(b"nothing")
        with pytest.raises(ValueError, match="can't be read as weights"):
            TimmBackbone("test_resnet", str(tmp_path / "broken.safetensors"), input_shape=SHAPE)
        with pytest.raises(ValueError, match="TimmBackbone: test_vit can't take images of input_shape=") as error:
            TimmBackbone("test_vit", input_shape=(3, 3, 3))
        assert "\n" not in str(error.value)

    def test_a_failed_download_says_what_to_do(self, timm, monkeypatch):
        create = timm.create_model

        def refuse(name, pretrained=False, **options):
            if pretrained:
                raise ConnectionError("no route to host")
            return create(name, **options)

        monkeypatch.setattr(timm, "create_model", refuse)
        with pytest.raises(OSError, match=r"weights='DEFAULT' of test_resnet can't be downloaded \(no route to host\)"):
            TimmBackbone("test_resnet", "DEFAULT", input_shape=SHAPE)

"""Backbones of every family of torchvision, offline."""

import warnings

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from metric_lightning.networks import TorchvisionBackbone, skip_pretrained_weights

FAMILIES = [
    ("alexnet", (3, 64, 64)),
    ("convnext_tiny", (3, 32, 32)),
    ("densenet121", (3, 32, 32)),
    ("efficientnet_b0", (3, 32, 32)),
    ("googlenet", (3, 64, 64)),
    ("inception_v3", (3, 75, 75)),
    ("mnasnet0_5", (3, 32, 32)),
    ("mobilenet_v2", (3, 32, 32)),
    ("mobilenet_v3_small", (1, 28, 28)),
    ("regnet_x_400mf", (3, 32, 32)),
    ("resnet18", (1, 28, 28)),
    ("shufflenet_v2_x0_5", (3, 32, 32)),
    ("squeezenet1_1", (3, 32, 32)),
    ("swin_t", (3, 64, 64)),
    ("vgg11", (3, 32, 32)),
    ("vit_b_32", (1, 64, 64)),
]


@pytest.mark.parametrize(("name", "shape"), FAMILIES)
def test_embeds(name, shape) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = TorchvisionBackbone(name, embedding_dim=6, input_shape=shape)
    assert all(layer.training for layer in network.modules())
    inputs = torch.randn(2, *shape)
    embeddings = network(inputs)  # training: where auxiliary classifiers would speak up
    assert embeddings.shape == (2, 6)
    embeddings.square().sum().backward()
    unused = [key for key, value in network.named_parameters() if value.grad is None]
    assert unused == []
    # Not all at zero (a vision transformer's own head starts there), and of either sign.
    embeddings = network.eval()(inputs).detach()
    assert embeddings.norm(dim=1).min() > 0
    assert embeddings.min() < 0


def test_one_channel_is_three_equal_ones() -> None:
    torch.manual_seed(0)
    grey = TorchvisionBackbone("resnet18", input_shape=(1, 32, 32)).eval()
    torch.manual_seed(0)
    colour = TorchvisionBackbone("resnet18", input_shape=(3, 32, 32)).eval()
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(grey(images), colour(images.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize(("name", "head"), [("resnet18", "fc"), ("squeezenet1_1", "classifier.1")])
def test_only_the_head_is_new(name, head) -> None:
    torch.manual_seed(0)
    theirs = get_model(name).state_dict()
    torch.manual_seed(0)
    network = TorchvisionBackbone(name, embedding_dim=5, input_shape=(3, 32, 32))
    own = network.layers.trunk.state_dict()
    assert theirs.keys() - own.keys() == {f"{head}.weight", f"{head}.bias"} and own.keys() < theirs.keys()
    assert all(torch.equal(own[key], theirs[key]) for key in own)
    weight = network.layers.head.weight
    assert weight.shape == (5, 512) and weight.abs().max() <= 512**-0.5  # torch's default, uniform


@pytest.mark.parametrize("classes", [1000, 10])
def test_weights_from_a_file(tmp_path, classes) -> None:
    theirs = get_model("resnet18", num_classes=classes)
    path = tmp_path / "resnet18.pth"
    torch.save(theirs.state_dict(), path)
    network = TorchvisionBackbone("resnet18", str(path), 512, input_shape=(3, 32, 32)).eval()
    theirs.fc = nn.Identity()
    network.layers.head = nn.Identity()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network(images), theirs.eval()(images))


def test_the_old_head_is_never_kept(tmp_path) -> None:
    theirs = get_model("squeezenet1_1")
    path = tmp_path / "squeezenet.pth"
    torch.save(theirs.state_dict(), path)
    network = TorchvisionBackbone("squeezenet1_1", str(path), 1000, input_shape=(3, 32, 32))
    assert not torch.equal(network.layers.head.weight, theirs.classifier[1].weight.flatten(1))
    # A linear layer behind the mean over places is a convolution before it.
    theirs.classifier[1].load_state_dict(
        {"weight": network.layers.head.weight[..., None, None], "bias": torch.zeros(1000)}
    )
    theirs.classifier[2] = nn.Identity()
    network.layers.head.bias.data.zero_()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network.eval()(images), theirs.eval()(images))


def test_weights_with_auxiliary_classifiers(tmp_path) -> None:
    path = tmp_path / "googlenet.pth"
    theirs = get_model("googlenet", init_weights=False, aux_logits=True)
    torch.save(theirs.state_dict(), path)
    network = TorchvisionBackbone("googlenet", str(path), input_shape=(3, 64, 64))
    assert torch.equal(network.layers.trunk.conv1.conv.weight, theirs.conv1.conv.weight)
    assert network.layers.trunk.transform_input


def test_weights_of_an_old_densenet_file(tmp_path) -> None:
    theirs = get_model("densenet121").state_dict()
    old = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value for key, value in theirs.items()}
    assert old.keys() != theirs.keys()
    path = tmp_path / "densenet121.pth"
    torch.save(old, path)
    network = TorchvisionBackbone("densenet121", str(path), input_shape=(3, 32, 32))
    key = "features.denseblock1.denselayer1.norm1.weight"
    assert torch.equal(network.layers.trunk.state_dict()[key], theirs[key])


def test_weights_of_another_architecture(tmp_path) -> None:
    path = tmp_path / "resnet34.pth"
    torch.save(get_model("resnet34").state_dict(), path)
    with pytest.raises(ValueError, match=r"don't fit ResNet: they hold the unknown layer1\.2"):
        TorchvisionBackbone("resnet18", str(path), input_shape=(3, 32, 32))
    torch.save(get_model("resnet18").state_dict(), path)
    with pytest.raises(ValueError, match=r"don't fit ResNet: they lack layer1"):
        TorchvisionBackbone("resnet34", str(path), input_shape=(3, 32, 32))


def test_weights_of_another_input_size(tmp_path) -> None:
    path = tmp_path / "vit.pth"
    torch.save(get_model("vit_b_32", image_size=64).state_dict(), path)
    TorchvisionBackbone("vit_b_32", str(path), input_shape=(3, 64, 64))
    with pytest.raises(ValueError, match="another size of encoder.pos_embedding"):
        TorchvisionBackbone("vit_b_32", str(path), input_shape=(3, 96, 96))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no weights at all", "can't be read as weights"),
        ({"epoch": 3}, "more than names and tensors"),
        ([1, 2], "more than names and tensors"),
        (nn.Linear(1, 1), "can't be read as weights"),
    ],
)
def test_a_file_without_weights(tmp_path, content, message) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        TorchvisionBackbone("resnet18", str(path), input_shape=(3, 32, 32))


def test_unknown_weights_name_the_nearest() -> None:
    with pytest.raises(ValueError, match="'IMAGENET1K_V3'.*nearest: IMAGENET1K_V"):
        TorchvisionBackbone("resnet50", "IMAGENET1K_V3", input_shape=(3, 32, 32))


def test_published_weights(monkeypatch) -> None:
    theirs = get_model("resnet18")
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url",
        lambda url, *arguments, **options: theirs.state_dict(),
    )
    network = TorchvisionBackbone("resnet18", "DEFAULT", input_shape=(3, 32, 32))
    assert torch.equal(network.layers.trunk.conv1.weight, theirs.conv1.weight)


def test_failed_download_says_what_to_fetch(monkeypatch) -> None:
    def refuse(url, *arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(OSError, match=r"no route to host.*https://.*resnet18.*path as weights"):
        TorchvisionBackbone("resnet18", "DEFAULT", input_shape=(3, 32, 32))
    with skip_pretrained_weights():
        TorchvisionBackbone("resnet18", "DEFAULT", input_shape=(3, 32, 32))
    with pytest.raises(OSError):
        TorchvisionBackbone("resnet18", "DEFAULT", input_shape=(3, 32, 32))


@pytest.mark.parametrize(("name", "nearest"), [("ResNet18", "resnet18"), ("resnet_50", "resnet50"), ("vit", "vit_")])
def test_unknown_name_names_the_nearest(name, nearest) -> None:
    with pytest.raises(ValueError, match=f"name='{name}' is no torchvision.*nearest: .*{nearest}"):
        TorchvisionBackbone(name)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("resnet18", (2, 32, 32), "1 or 3 channels"),
        ("alexnet", (1, 28, 28), r"alexnet can't take images of input_shape=\(1, 28, 28\): "),
        ("vit_b_32", (3, 64, 32), "square"),
        ("vit_b_32", (3, 50, 50), "vit_b_32 can't take images"),
        ("maxvit_t", (3, 64, 64), "maxvit_t can't take images"),
        ("inception_v3", (3, 32, 32), "inception_v3 can't take images"),
    ],
)
def test_unfit_images_are_refused_in_one_line(name, shape, message) -> None:
    with pytest.raises(ValueError, match=message) as error:
        TorchvisionBackbone(name, input_shape=shape)
    assert "\n" not in str(error.value)

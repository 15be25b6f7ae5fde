"""An exported model is PyTorch's to five digits, whatever the batch; one that isn't is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from metric_lightning.cli import main
from metric_lightning.data import Preprocessing
from metric_lightning.deployment.export import export_model
from metric_lightning.deployment.model_card import model_card
from metric_lightning.deployment.trained_model import TrainedModel, load_model
from metric_lightning.errors import UserError
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.modules.shipping_record import KEY
from metric_lightning.networks import AveragedViews, Conv4, EmbeddingNet, TorchvisionBackbone
from tests.deployment.conftest import Run

RECORD = {KEY: {"module": "", "data": None, "figures": {}, "epoch": 0, "step": 0}}


def untrained(network: nn.Module, preprocessing: Preprocessing) -> TrainedModel:
    module = EmbeddingModule(network, TripletMarginLoss(), input_shape=preprocessing.input_shape).eval()
    return TrainedModel(module, preprocessing, ["a", "b"], RECORD, Path("none.ckpt"))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("network", ["EmbeddingNet", "ResNet-18", "AveragedViews"])
def test_parity_at_1_and_7_pictures(here, network: str, invert: bool):
    if network != "EmbeddingNet" and invert:
        pytest.skip("inversion has nothing to do with the network")
    if network == "ResNet-18":
        prepare = Preprocessing(3, (64, 64), 72, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        model = untrained(TorchvisionBackbone("resnet18", embedding_dim=32), prepare)
    else:
        prepare = Preprocessing(1, (28, 28), None, (0.13,), (0.31,), invert=invert)
        plain = EmbeddingNet(8)
        views = AveragedViews(Conv4(8, 4, normalize=True), rotations=[-8, 0, 8], scales=[0.9, 1])
        model = untrained(plain if network == "EmbeddingNet" else views, prepare)
    exported = export_model(model, Path("out"))
    session = onnxruntime.InferenceSession("out/model.onnx")
    program = torch.export.load("out/model.pt2").module()
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (prepare.mean, prepare.std))
    for size in (1, 7):
        pixels = np.random.default_rng(size).integers(0, 256, (size, *prepare.input_shape), dtype=np.uint8)
        scaled = (255 - pixels if invert else pixels).astype(np.float32) / 255
        with torch.no_grad():
            expected = model.module(torch.from_numpy((scaled - mean) / std)).numpy()
        (found,) = session.run(["embeddings"], {"pixels": pixels})
        assert np.abs(found - expected).max() <= 1e-5
        assert np.abs(program(torch.from_numpy(pixels)).detach().numpy() - expected).max() <= 1e-5
    assert set(exported.differences) == {"model.onnx", "model.pt2"} and max(exported.differences.values()) <= 1e-5
    assert session.get_inputs()[0].shape == ["batch", *prepare.input_shape]


def test_the_card_says_what_is_known(run: Run, here):
    main(["export", "--ckpt_path", run.checkpoint, "--output", "out"])
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "model.onnx",
        "model.pt2",
        "model_card.md",
        "preprocessing.json",
    ]
    card = Path("out/model_card.md").read_text(encoding="utf-8")
    model = load_model(run.checkpoint)
    threshold = model.module.metrics[1].calibration.threshold
    assert "ImageFolder" in card and "| train | 56 | 4 |" in card and "| test | 16 | 4 |" in card
    assert f"at most {threshold:.6g}" in card
    assert f"| `val/map_at_r` | {model.content[KEY]['figures']['val/map_at_r']:.4f} | the checkpoint |" in card
    assert "&lt;b>one" in card.split("## Configuration")[0]  # a class's name is no markup
    assert (
        f"torch {torch.__version__.split('+')[0]}" in card and "class_path: metric_lightning.data.ImageFolder" in card
    )
    description = json.loads(Path("out/preprocessing.json").read_text())
    assert Preprocessing.from_dict(description["preprocessing"]) == model.preprocessing
    assert description["calibration"]["init_args"]["threshold"] == threshold
    assert description["class_names"] == model.class_names


def test_the_card_quotes_figures_of_the_very_weights_alone(run: Run, here):
    shutil.copytree(Path(run.checkpoint).parents[1], "run")
    last = Path("run/checkpoints/last.ckpt")
    (other,) = (path for path in last.parent.iterdir() if path != last)
    main(["test", "--ckpt_path", str(other)])
    measured = json.loads(Path("run/test.json").read_text())
    assert f"| `test/map_at_r` | {measured['test/map_at_r']:.4f} | `test.json` of its run |" in card_of(other)
    card = card_of(last)
    assert "test.json" not in card and "`metric-lightning test --ckpt_path run/checkpoints/last.ckpt`" in card
    # As an earlier version wrote them: nobody knows of which weights.
    del measured["measured_with"]
    Path("run/test.json").write_text(json.dumps(measured))
    Path("run/metrics.json").write_text('{"test": {"map_at_r": 0.5}}')
    assert "of its run |" not in card_of(last) + card_of(other)


def card_of(checkpoint: Path) -> str:
    description = {
        "input": {"name": "pixels", "shape": []},
        "output": {"shape": ["batch", 4]},
        "steps": [],
        "distance": "euclidean",
        "calibration": None,
        "model": "",
    }
    return model_card(load_model(checkpoint), description, {})


def test_a_model_that_differs_is_refused_and_nothing_written(run: Run, here, refusal):
    line = refusal("export", "--ckpt_path", run.checkpoint, "--output", "out", "--tolerance", "0")
    assert "model.onnx differs from PyTorch by" in line and "more than the tolerance of 0" in line
    assert list(here.iterdir()) == []


def test_a_network_that_is_no_graph_is_refused(here):
    with pytest.raises(UserError, match="can't be exported"):
        export_model(untrained(Moody(), Preprocessing(1, (4, 4))), Path("out"))
    with pytest.raises(UserError, match=r"model.onnx differs from PyTorch by inf"):
        export_model(untrained(Broken(), Preprocessing(1, (4, 4))), Path("out"))
    assert list(here.iterdir()) == []


def test_a_modules_own_forward_is_exported(here):
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    module = Doubled(network, TripletMarginLoss(), input_shape=(1, 4, 4)).eval()
    export_model(TrainedModel(module, Preprocessing(1, (4, 4)), [], RECORD, Path("none.ckpt")), Path("out"))
    (found,) = onnxruntime.InferenceSession("out/model.onnx").run(
        None, {"pixels": np.full((1, 1, 4, 4), 255, np.uint8)}
    )
    np.testing.assert_allclose(found, 2 * network(torch.ones(1, 1, 4, 4)).detach().numpy(), atol=1e-6)


def test_bad_input_is_one_sentence(run: Run, here, refusal, without):
    Path("file").write_text("")
    assert "file/out can't be written" in refusal("export", "--ckpt_path", run.checkpoint, "--output", "file/out")
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("")
    line = refusal("export", "--ckpt_path", run.checkpoint, "--output", "mine")
    assert "mine is there already and holds something else" in line and Path("mine/notes.txt").exists()
    assert "there is no checkpoint none.ckpt" in refusal("export", "--ckpt_path", "none.ckpt")
    assert "ckpt_path not given; see --help" in refusal("export")
    without("onnxscript")
    line = refusal("export", "--ckpt_path", run.checkpoint, "--output", "out")
    assert 'an export needs onnxscript, which is not installed: pip install "metric_lightning[export]"' in line


def test_an_export_is_replaced(run: Run, here):
    for _ in range(2):
        main(["export", "--ckpt_path", run.checkpoint, "--output", "out"])
    assert [path.name for path in here.iterdir()] == ["out"] and len(list(Path("out").iterdir())) == 4


class Moody(nn.Module):
    """Does one thing or another, as the pixels are."""

    embedding_dim = 1

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1)[:, :1] * (2 if float(inputs.sum()) > 0 else 3)


class Broken(nn.Module):
    embedding_dim = 1

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1)[:, :1] * float("nan")


class Doubled(EmbeddingModule):
    def forward(self, inputs: Tensor) -> Tensor:
        return 2 * super().forward(inputs)

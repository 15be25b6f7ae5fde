"""Every YAML of experiments/ is a whole run that trains."""

import importlib.util
import inspect
import os
import sys
from pathlib import Path

import pytest
import yaml

from metric_lightning import losses
from metric_lightning.cli import main
from metric_lightning.networks import skip_pretrained_weights
from tests.applications.cosegmentation.replica import write_voc
from tests.data.omniglot_replica import write_set
from tests.data.stroke_replica import write_drawings
from tests.experiments.replica import write_replica

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "experiments").rglob("*.yaml"))
DATA_SETS = ("mnist5k", "mnist", "fashion_mnist")
METHODS = {
    "softmax",
    "siamese",
    "triplet",
    "online_contrastive_all_pairs",
    "online_contrastive_hard_negative_pairs",
    "online_triplet_all",
    "online_triplet_hardest",
    "online_triplet_random_hard",
    "online_triplet_semi_hard",
    "online_triplet_batch_hard",
}
WITHOUT_DOWNLOAD = ("MNIST5k", "Digits")
# What would take minutes on a CPU, or needs more alphabets than a replica has.
SMALLER = {
    "koch_paper": {"batches.init_args.batch_size": 1, "eval_batch_size": 2, "validation_alphabets": 1},
}
OF_IDX_FILES = ("MNIST", "FashionMNIST", "KMNIST")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "experiments").with_suffix("").as_posix()


def content(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Return the arguments that lead a data module to a small replica of its data, by the name of the module."""
    idx, omniglot = tmp_path_factory.mktemp("idx"), tmp_path_factory.mktemp("omniglot")
    write_replica(idx)
    write_set(omniglot / "images_background", dict.fromkeys("ABCD", 12), drawers=8)
    write_set(omniglot / "images_evaluation", {"E": 5}, drawers=4, first=100)
    strokes, background = tmp_path_factory.mktemp("strokes"), tmp_path_factory.mktemp("background")
    write_drawings(strokes, dict.fromkeys("ABCD", 33), drawers=4)
    write_set(background / "images_background", dict.fromkeys("ABCD", 12), drawers=14)
    texts = tmp_path_factory.mktemp("texts")
    (texts / "pairs.csv").write_text("name,text\n" + "".join(f"n{n},the text {n}\n" for n in range(400)))
    (texts / "dictionary.txt").write_text("".join(f"wrod{n}->word{n}\n" for n in range(800)))
    voc = tmp_path_factory.mktemp("voc")
    write_voc(voc)
    found: dict[str, dict[str, object]] = {name: {"root": idx} for name in (*OF_IDX_FILES, "GarmentPairs")}
    found |= {
        "Omniglot": {"root": omniglot},
        "background": {"root": background},
        "OmniglotTwoViews": {"root": strokes, "strokes": strokes},
        "TextPairs": {"table": texts / "pairs.csv"},
        "Codespell": {"dictionary": texts / "dictionary.txt"},
        "VOCPairs": {"root": voc, "size": [32, 32], "num_workers": 0},
    }
    if importlib.util.find_spec("cv2") is not None:
        from tests.applications.tracking.replica import write_replica as write_video

        video, boxes = write_video(tmp_path_factory.mktemp("video"), more=True)
        times = {"train_until": 20, "validation_identities": [3]}
        found["VideoIdentities"] = {"video": video, "annotations": boxes, **times}
    return found


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_runs_for_two_batches(
    path: Path, replicas: dict[str, dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the data where the package has them, on a replica of the files where they are downloaded.

    In mixed precision, as other tests train in single.
    """
    data = content(path)["data"]["class_path"].rpartition(".")[2]
    if "PytorchMetricLearning" in path.read_text() and importlib.util.find_spec("pytorch_metric_learning") is None:
        pytest.skip("pytorch-metric-learning is not installed")
    for name, module in {"applications.tracking": "cv2", "applications.cosegmentation": "skimage"}.items():
        if name in path.read_text() and importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["metric-lightning"])
    monkeypatch.setenv("PL_GLOBAL_SEED", os.environ.get("PL_GLOBAL_SEED", "0"))  # put back afterwards
    arguments = ["fit", "--config", str(path), "--trainer.fast_dev_run=2", "--trainer.accelerator=cpu"]
    arguments += ["--trainer.precision=bf16-mixed", "--trainer.log_every_n_steps=1"]
    if data not in WITHOUT_DOWNLOAD:
        replica = "background" if path.stem.startswith("verification") else data
        assert replica in replicas, f"no replica of {data} is made here yet"
        arguments += [f"--data.init_args.{name}={value}" for name, value in replicas[replica].items()]
    arguments += [f"--data.init_args.{name}={value}" for name, value in SMALLER.get(path.stem, {}).items()]
    with skip_pretrained_weights():
        main([*arguments, "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"])


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_header_says_how_to_run_it(path: Path) -> None:
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert f"# python -m metric_lightning.cli fit --config {path.relative_to(ROOT).as_posix()}" in header


def test_every_data_set_has_all_methods_of_the_reference() -> None:
    for data_set in DATA_SETS:
        assert {path.stem for path in (ROOT / "experiments" / data_set).glob("*.yaml")} == METHODS


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_method_is_the_same_on_all_data_sets(method: str) -> None:
    found = [content(ROOT / "experiments" / data_set / f"{method}.yaml") for data_set in DATA_SETS]
    assert len({config["data"].pop("class_path") for config in found}) == len(DATA_SETS)
    for config in found:
        config["data"]["init_args"].pop("split", None)
        config["trainer"].pop("max_epochs")  # fewer on large data where the header says so
    assert found[1] == found[0] and found[2] == found[0]


def test_every_loss_is_in_an_experiment() -> None:
    public = {name for name in losses.__all__ if not inspect.isabstract(getattr(losses, name))}
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "experiments/mnist5k/losses").glob("*.yaml"))
    assert not [name for name in sorted(public) if f"metric_lightning.losses.{name}" not in text]


def test_losses_are_compared_under_equal_conditions() -> None:
    for path in sorted((ROOT / "experiments/mnist5k/losses").glob("*.yaml")):
        config = content(path)
        model = config["model"]["init_args"]
        assert config["trainer"] == {"max_epochs": 10}, path
        assert config["data"]["init_args"]["batches"]["init_args"] == {"n_classes": 10, "n_samples": 25}, path
        assert model["optimizer"] == {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3}}, path
        assert model["network"]["init_args"]["embedding_dim"] == 64, path

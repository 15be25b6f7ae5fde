"""A user's own pictures from the command line: `fit --data.root` without a config, and `data`, on real digits."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchvision.models import ResNet18_Weights, get_model

from metric_lightning.cli import main
from metric_lightning.command_line.first_config import first_config, weights_at_hand, write_first_config
from metric_lightning.command_line.first_run import FirstConfigFile, as_run, first_run, folder_alone
from metric_lightning.data import Preprocessing
from metric_lightning.errors import UserError
from metric_lightning.networks import NormalizedHead, TorchvisionBackbone
from tests.data.digit_pictures import NAMES, write_digits

QUICK = [
    *("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false", "--default_callbacks", "false"),
]


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, with pictures in `photos/`, and a torch cache without weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    write_digits(tmp_path / "photos", each=20, classes=4, side=32)
    return tmp_path / "photos"


def refusal(arguments, capsys) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in printed
    return line


def test_fit_needs_no_config_and_writes_the_one_it_used(photos, capsys):
    main(["fit", "--data.root", "photos", *QUICK])
    printed = capsys.readouterr().out
    assert "photos holds 80 pictures of 4 classes, not parted yet." in printed
    assert "Conv4, a small network, on 32x32 pixels: no pretrained weights are on this machine." in printed
    assert "metric-lightning fit --config photos.yaml" in printed
    assert "map_at_r" in printed
    written = yaml.safe_load(Path("photos.yaml").read_text())
    chosen = first_config(Path("photos")).config
    assert written["data"] == chosen["data"] and written["model"] == chosen["model"]
    assert (
        Path("photos.yaml").read_text().startswith("# metric-lightning fit --config photos.yaml\n# Chosen because:\n")
    )
    run = Path("lightning_logs/photos/version_0")
    used = yaml.safe_load((run / "config.yaml").read_text())
    assert used["data"]["init_args"]["root"] == "photos" and used["trainer"]["max_epochs"] == 2
    stopping = written["trainer"]["callbacks"][0]
    assert stopping["class_path"].endswith("EarlyStopping") and stopping["init_args"]["monitor"] == "val/map_at_r"
    # A checkpoint knows names and how to prepare a picture, and is enough to test.
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    known = checkpoint["metric_lightning_data"]
    assert known["class_names"] == sorted(NAMES[:4]) and known["num_classes"] == 4
    prepare = Preprocessing.from_dict(known["preprocessing"])
    assert prepare(Image.open(next(photos.rglob("*.png")))).shape == (3, 32, 32)
    main(["test", "--ckpt_path", str(run / "checkpoints/last.ckpt")])
    assert json.loads((run / "test.json").read_text())["test/precision_at_1"] > 0.3  # by chance 0.25


def test_what_the_user_says_goes_before_what_is_chosen(photos):
    run = first_run(["fit", "--data.root=photos", "--trainer.max_epochs", "3"])
    assert run.name == "photos" and run.arguments[-3:] == ["--experiment=photos", "--trainer.max_epochs", "3"]
    assert yaml.safe_load(run.arguments[2]) == run.chosen.config
    for arguments in (
        ["fit", "--data.root", "photos", "--config", "my.yaml"],
        ["fit", "--data", "metric_lightning.data.ImageFolder", "--data.root", "photos"],
        ["fit", "--config", "my.yaml"],
        ["test", "--data.root", "photos"],
    ):
        assert first_run(arguments) is None
    assert folder_alone(["--data.root", "~/x"])[0] == Path.home() / "x"


def test_a_config_that_was_edited_is_left_as_it_is(photos):
    chosen = first_config(photos)
    assert write_first_config(chosen, "photos") == Path("photos.yaml")
    assert write_first_config(chosen, "photos") == Path("photos.yaml")
    edited = Path("photos.yaml").read_text().replace("max_epochs: 50", "max_epochs: 7")
    Path("photos.yaml").write_text(edited)
    Path("photos_2.yaml").symlink_to("nowhere")
    assert write_first_config(chosen, "photos") == Path("photos_3.yaml")
    assert Path("photos.yaml").read_text() == edited and Path("photos_2.yaml").is_symlink()
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_only_the_first_process_of_a_run_writes(photos):
    run = first_run(["fit", "--data.root", "photos"])
    FirstConfigFile(run, run.chosen.config).on_train_start(SimpleNamespace(is_global_zero=False), None)
    assert not Path("photos.yaml").exists()


def test_the_config_that_is_written_repeats_the_run_with_what_was_given(photos, capsys):
    loss = ["--model.loss", "metric_lightning.losses.TripletMarginLoss", "--model.loss.margin", "0.4"]
    batches = ["--data.batches.n_classes", "3", "--trainer.limit_train_batches", "1", "--experiment", "mine"]
    main(["fit", "--data.root", "photos", *QUICK, *loss, *batches])
    text = Path("photos.yaml").read_text()
    assert "# - given, and so put in place of what was chosen: --trainer.max_epochs 2" in text
    assert yaml.safe_load(text)["data"]["init_args"]["batches"]["init_args"] == {
        "n_classes": 3,
        "n_samples": 16,
        "batches_per_epoch": 20,
    }
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["fit", "--config", "photos.yaml", "--print_config"])
    again = yaml.safe_load(re.sub(r"^#.*\n", "", capsys.readouterr().out, flags=re.MULTILINE))
    ran = yaml.safe_load(Path("lightning_logs/mine/version_0/config.yaml").read_text())
    assert again | {"ckpt_path": None} == ran | {"ckpt_path": None} and again["experiment"] == "mine"


def test_another_class_is_written_with_all_its_arguments():
    # An argument that both classes have may have another default.
    before = {"loss": {"class_path": "A", "init_args": {"margin": 1}}}
    after = {"loss": {"class_path": "B", "init_args": {"margin": 1}}}
    assert as_run({"loss": {"class_path": "A"}}, before, after) == after


@pytest.mark.parametrize("wrong", [["--data.batches.n_classes", "9"], ["--trainer.max_epoch", "9"]])
def test_a_refused_run_writes_no_config_and_leaves_nothing(photos, capsys, wrong):
    refusal(["fit", "--data.root", "photos", *QUICK, *wrong], capsys)
    assert [path.name for path in Path().iterdir()] == ["photos"]


def test_the_settings_fit_the_data(photos, tmp_path):
    chosen = first_config(photos)
    batches = chosen.config["data"]["init_args"]["batches"]["init_args"]
    assert batches == {"n_classes": 4, "n_samples": 16, "batches_per_epoch": 20}
    assert "SampleSplit" in chosen.config["data"]["init_args"]["split"]["class_path"]
    many = tmp_path / "many"
    for place in range(30):
        write_digits(many, each=3, classes=1, first=3 * place, names=[f"person {place}"])
    chosen = first_config(many)
    split = chosen.config["data"]["init_args"]["split"]
    assert split["class_path"].endswith("ClassSplit")
    assert split["init_args"] == {"train_classes": 18, "validation_classes": 6}
    assert chosen.config["data"]["init_args"]["batches"]["init_args"] == {
        "n_classes": 16,
        "n_samples": 3,
        "batches_per_epoch": 20,
    }
    few = first_config(write_digits(tmp_path / "few", each=6)[0].parents[1])
    assert few.config["data"]["init_args"]["split"]["init_args"] == {"validation_size": 0.33, "test_size": 0.2}
    for part in ("train", "val"):
        write_digits(tmp_path / "parted" / part, each=4)
    assert "split" not in first_config(tmp_path / "parted").config["data"]["init_args"]


def test_a_folder_with_an_ugly_name_is_no_yaml_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ugly = tmp_path / "a\nseed_everything: 9 #ü"
    write_digits(ugly, each=8)
    chosen = first_config(ugly)
    assert yaml.safe_load(chosen.text()) == chosen.config


def test_weights_on_this_machine_are_used_and_their_preset(photos, tmp_path):
    assert weights_at_hand("resnet18") is None
    name = os.path.basename(ResNet18_Weights.IMAGENET1K_V1.url)
    cache = tmp_path / "torch/hub/checkpoints"
    cache.mkdir(parents=True)
    torch.save(get_model("resnet18").state_dict(), cache / name)
    assert weights_at_hand("resnet18") == "IMAGENET1K_V1"
    chosen = first_config(photos)
    network = chosen.config["model"]["init_args"]["network"]
    assert network["class_path"].endswith("TorchvisionBackbone") and network["init_args"]["weights"] == "IMAGENET1K_V1"
    assert chosen.config["data"]["init_args"]["preset"] == "resnet18:IMAGENET1K_V1"
    network["init_args"]["head"] = NormalizedHead()
    made = TorchvisionBackbone(**network["init_args"], input_shape=(3, 64, 64))
    theirs = torch.load(cache / name, weights_only=True)
    assert torch.equal(made.layers.trunk.conv1.weight, theirs["conv1.weight"])
    assert any("resnet18 with its weights IMAGENET1K_V1: the first of resnet18, " in why for why in chosen.reasons)


def test_data_shows_counts_problems_and_pictures_before_training(photos, capsys):
    paths = sorted(photos.rglob("*.png"))
    for label in ("one", "two"):  # one picture under another label, and many times, so that the split parts it
        for place in range(8):
            (photos / label / f"again {place}.png").write_bytes(paths[0].read_bytes())
    (photos / "zero/broken.png").write_bytes(paths[0].read_bytes()[:60])
    (photos / "notes.txt").write_text("no picture")
    (photos / "lonely").mkdir()
    Image.new("RGB", (32, 32), "red").save(photos / "lonely/only.png")
    main(["data", "--data.root", "photos"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "pictures that can't be used: 1 (photos/zero/broken.png can't be read" in printed
    assert "training classes with one sample, and so no positive pair: 1 (lonely)" in printed
    assert "that are there under two labels" in printed
    assert "equal inputs in train and" in printed
    folder = Path("lightning_logs/photos/data")
    found = json.loads((folder / "report.json").read_text())
    assert sum(samples for samples, _ in found["parts"].values()) == 80 + 16 + 1
    assert sum(found["classes"]["one"].values()) == 28 and found["preprocessing"]["channels"] == 3
    with Image.open(folder / "batches.png") as picture:
        assert picture.width > 400 and len(np.unique(np.asarray(picture))) > 30
    assert not Path("photos.yaml").exists() and not list(Path("lightning_logs").rglob("*.ckpt"))


def test_data_of_a_config_with_arguments_of_ones_own(photos, capsys):
    Path("run.yaml").write_text(first_config(Path("photos")).text())
    main(["data", "--config", "run.yaml", "--data.size", "48", "--data.resize", "48", "--output", "seen"])
    assert json.loads(Path("seen/report.json").read_text())["preprocessing"]["size"] == [48, 48]
    Path("digits.yaml").write_text("data: {class_path: metric_lightning.data.Digits}")
    main(["data", "--config", "digits.yaml", "--max_inputs", "10"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "samples are more than --max_inputs 10" in printed and "lightning_logs/digits/data/batches.png" in printed


def test_classes_that_a_search_cant_find_are_named(photos, capsys):
    """d is only validated, e only tested; in the second folder all of val is unseen, as a test of new classes is."""
    parts = {"train": "abc", "val": "abd", "test": "ae", "gallery": "ab"}
    for root, held in (("some", parts), ("all", {"train": "abc", "val": "de", "test": "de"})):
        for part, names in held.items():
            first = 10 * len(part)
            write_digits(Path(root, part), each=6, classes=len(names), first=first, names=list(names))
    main(["data", "--data.root", "some"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "classes in val that train has no picture of: 1 (d);" in printed
    assert "classes in test that gallery has no picture of: 1 (e);" in printed
    main(["data", "--data.root", "all"])
    assert "has no picture of" not in capsys.readouterr().out
    metrics = first_config(Path("some")).config["model"]["init_args"]["metrics"]
    assert [metric.get("init_args", {}).get("search") for metric in metrics] == [None, "gallery", None, None]


def test_names_that_would_steer_a_terminal_are_spelled_out(photos, capsys):
    (photos / "one").rename(photos / "o\x1b[2J\nne")
    (photos / "two/a\x1b[2J.png").write_bytes(b"")
    main(["data", "--data.root", "photos"])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed and r"o\x1b[2J\nne" in printed and r"two/a\x1b[2J.png is an empty file" in printed
    line = refusal(["fit", "--data.root", "photos", *QUICK], capsys)
    assert r"two/a\x1b[2J.png is an empty file" in line and "\x1b" not in line


def test_a_class_with_one_picture_is_not_said_to_be_in_all_parts(photos):
    assert "every class is in all parts" in " ".join(first_config(photos).reasons)
    (photos / "lonely").mkdir()
    Image.new("RGB", (32, 32), "red").save(photos / "lonely/only.png")
    assert "every class of 7 pictures or more is in all parts" in " ".join(first_config(photos).reasons)


def test_few_pictures_still_make_a_run_that_can_be_measured(photos, tmp_path):
    write_digits(tmp_path / "-few", each=2, classes=2)
    chosen = first_config(tmp_path / "-few")
    knn = next(
        part for part in chosen.config["model"]["init_args"]["metrics"] if part["class_path"].endswith("KNNAccuracy")
    )
    assert knn["init_args"] == {"k": 1} and "k-NN asks one neighbour, for there are few pictures." in chosen.reasons
    assert first_run(["fit", "--data.root", str(tmp_path / "-few")]).name == "few"
    for name in ("b", "c"):
        write_digits(tmp_path / "one", each=1, classes=1, names=[name])
    with pytest.raises(UserError, match="every class of .*one has one picture, and nothing shows what is alike; add"):
        first_config(tmp_path / "one")


def test_data_tells_all_problems_also_where_no_batch_can_be_drawn(photos, capsys):
    for path in (photos / "one").iterdir():
        path.write_bytes(b"")
    main(["data", "--data.root", "photos"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "training classes without a usable sample: 1 (one)" in printed
    assert "no training batch can be drawn: n_classes is 4, but the training data has 3 classes" in printed
    assert "sample batches: there are none" in printed and Path("lightning_logs/photos/data/report.json").is_file()


def test_what_no_configuration_can_hold_is_refused(photos, capsys):
    strange = b"caf\xe9".decode(errors="surrogateescape")
    photos.rename(photos.parent / strange)
    for command in ("fit", "data"):
        line = refusal([command, "--data.root", strange], capsys)
        assert r"the argument caf\xe9 is no UTF-8, and no configuration can name it: rename" in line


def test_sound_data_have_no_problems(photos, capsys):
    main(["data", "--data.root", "photos"])
    assert "problems: none found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fit", "--data.root", "nowhere"], "error: there is no folder nowhere"),
        (["data", "--data.root", "nowhere"], "error: there is no folder nowhere"),
        (["fit", "--data.root", ""], "error: --data.root is empty; give the folder of your pictures"),
        (["data"], "error: data needs --config FILE.yaml, or --data.root FOLDER"),
        (["data", "--config", "gone.yaml"], "error: there is no file gone.yaml, which --config names"),
        (["data", "--config", "list.yaml"], "error: --config list.yaml holds no settings"),
        (["data", "--data.root", "photos", "--data.sise", "3"], "sise"),
        (["data", "--data", "metric_lightning.data.ImageFoldr"], "did you mean metric_lightning.data.ImageFolder?"),
    ],
)
def test_bad_commands_are_one_sentence(arguments, sentence, photos, capsys):
    Path("list.yaml").write_text("[1, 2]")
    assert sentence in refusal(arguments, capsys)


def test_a_spoilt_picture_stops_fit_before_training_with_all_names(photos, capsys):
    for name in ("zero/a.png", "one/b.jpg"):
        (photos / name).write_bytes(b"")
    line = refusal(["fit", "--data.root", "photos", *QUICK], capsys)
    assert "2 of 82 pictures of photos can't be used" in line and "a.png" in line and "b.jpg" in line
    assert "on_error: skip" in line


def test_a_checkpoint_needs_its_backbones_weights_no_more(photos, tmp_path):
    weights = tmp_path / "weights.pth"
    torch.save(get_model("mobilenet_v3_small").state_dict(), weights)
    config = first_config(Path("photos")).config
    options = {"name": "mobilenet_v3_small", "weights": str(weights), "embedding_dim": 8, "lr_scale": 0.1}
    head = {"class_path": "metric_lightning.networks.MLPHead", "init_args": {"hidden_dim": 16}}
    network = {"class_path": "metric_lightning.networks.TorchvisionBackbone", "init_args": {**options, "head": head}}
    config["model"]["init_args"]["network"] = network
    Path("own.yaml").write_text(yaml.safe_dump(config))
    main(["fit", "--config", "own.yaml", "--trainer.limit_train_batches", "1", *QUICK])
    weights.unlink()
    checkpoint = "lightning_logs/own/version_0/checkpoints/last.ckpt"
    main(["test", "--ckpt_path", checkpoint])
    assert Path("lightning_logs/own/version_0/test.json").is_file()

"""The comparison, on digits of 8x8 pixels: runs, resumes, tables, pictures, errors."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments import compare as command
from experiments.compare import compare
from experiments.harness import execute, worker
from experiments.harness.methods import config_files, labels_of, parsed_grid, variants
from experiments.harness.run import Run
from metric_lightning.errors import UserError

ROOT = Path(__file__).parents[2]
CONFIG = """
data:
  class_path: metric_lightning.data.Digits
  init_args:
    batches: {{class_path: metric_lightning.data.BalancedBatches, init_args: {{n_classes: 10, n_samples: 5}}}}
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network: {{class_path: metric_lightning.networks.EmbeddingNet, init_args: {{embedding_dim: {dim}, padding: 2}}}}
    loss: {{class_path: metric_lightning.losses.{loss}, init_args: {{margin: 1.0}}}}
trainer: {{max_epochs: 2, limit_train_batches: 2, accelerator: cpu, enable_model_summary: false}}
"""
MARGIN = "model.init_args.loss.init_args.margin"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two methods in a folder; their runs are made in this process. Returns the folders of runs made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare"])
    monkeypatch.setenv("PL_GLOBAL_SEED", os.environ.get("PL_GLOBAL_SEED", "0"))  # put back afterwards
    for name, loss in (("contrastive", "ContrastiveLoss"), ("triplet", "TripletMarginLoss")):
        Path(f"{name}.yaml").write_text(CONFIG.format(loss=loss, dim=2))
    folders = []

    def run(folder: Path, arguments: list[str], log: Path, threads: int | None) -> None:
        folders.append(folder)
        with contextlib.redirect_stdout(open(os.devnull, "w")):  # noqa: SIM115
            worker.train(folder, arguments)

    monkeypatch.setattr(execute, "in_a_process", run)
    return folders


def test_table_pictures_and_resume(made: list[Path], tmp_path: Path) -> None:
    arguments = ["contrastive.yaml", "triplet.yaml", "--seeds", "2", "--name", "small", "--max_epochs", "1"]
    table = compare(arguments)
    assert len(made) == 4
    assert "| contrastive " in table and "| triplet " in table and "±" in table
    folder = Path("lightning_logs/compare/small")
    page = (folder / "table.md").read_text()
    assert table in page and "Paired differences" in page and "2 seeds" in page
    for name in ("grid.png", "figures.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 100
    again = compare(arguments)
    assert len(made) == 4 and again == table
    (made[2] / "result.json").unlink()
    compare(arguments)
    assert made[4:] == [made[2]]


def test_stopped_run_goes_on_to_the_same_figures(made: list[Path]) -> None:
    compare(["triplet.yaml", "--seeds", "1"])
    whole = Run("triplet", Path("triplet.yaml"), (), 0)
    expected, arguments = whole.result(), whole.arguments()[:-2]
    assert expected is not None and expected["images"] == 2 * 2 * 50
    whole.folder.rename("whole")
    worker.train(whole.folder, [*arguments, "--trainer.max_epochs=1"])
    (whole.folder / "result.json").unlink()
    compare(["triplet.yaml", "--seeds", "1"])
    found = whole.result()
    assert found is not None
    for name in ("test", "validation", "images"):
        assert found[name] == expected[name]
    assert [path.name for path in whole.folder.glob("version_*")] == ["version_0"]


def test_failed_run_is_told_and_the_others_go_on(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(folder: Path, arguments: list[str], log: Path, threads: int | None) -> None:
        if "triplet.yaml" in arguments:
            log.write_text("Epoch 1\nMemoryError: no room\n\n")
        else:
            worker.train(folder, arguments)

    monkeypatch.setattr(execute, "in_a_process", run)
    table = compare(["contrastive.yaml", "triplet.yaml", "--seeds", "1", "--max_epochs", "1"])
    assert "seed 0 failed" in table
    page = Path("lightning_logs/compare/selection/table.md").read_text()
    assert "- triplet, seed 0: MemoryError: no room (see " in page


def test_grid_is_searched_on_validation(made: list[Path]) -> None:
    compare(["triplet.yaml", "--seeds", "1", "--max_epochs", "1", "--grid", f"{MARGIN}=0.5,1.0"])
    assert len(made) == 2
    page = Path("lightning_logs/compare/selection/table.md").read_text()
    assert " margin=0.5 |" in page and page.count("chosen |") == 1
    # What the grid tried and the file states is the same run.
    compare(["triplet.yaml", "--seeds", "1", "--max_epochs", "1"])
    assert len(made) == 2


def test_more_dimensions_have_no_grid_of_scatters(made: list[Path]) -> None:
    Path("triplet.yaml").write_text(CONFIG.format(loss="TripletMarginLoss", dim=3))
    compare(["triplet.yaml", "--seeds", "1", "--max_epochs", "1"])
    assert sorted(path.name for path in Path("lightning_logs/compare/selection").iterdir()) == [
        "figures.png",
        "table.md",
    ]


def test_key_is_of_what_makes_the_result(made: list[Path]) -> None:
    def key(settings: tuple[tuple[str, str], ...] = (), seed: int = 0) -> str:
        return Run("any name", Path("triplet.yaml"), settings, seed).key

    first = key()
    assert key(((MARGIN, "1.0"),)) == first  # as the file has it
    assert len({first, key(((MARGIN, "2.0"),)), key(seed=1)}) == 3
    Path("triplet.yaml").write_text("# a comment\n" + CONFIG.format(loss="TripletMarginLoss", dim=2))
    assert key() == first
    Path("triplet.yaml").write_text(CONFIG.format(loss="TripletMarginLoss", dim=3))
    assert key() != first


def test_folders_and_labels() -> None:
    files = config_files(["mnist5k"])
    assert len(files) == 10 and all(file.parent.name == "mnist5k" for file in files)
    assert "softmax" in labels_of(files).values()
    both = config_files(["mnist5k", "fashion_mnist"])
    assert {"mnist5k/softmax", "fashion_mnist/softmax"} <= set(labels_of(both).values())


def test_grid_applies_where_the_file_states_the_key(made: list[Path]) -> None:
    Path("other.yaml").write_text("trainer: {max_epochs: 2}\n")
    grid = parsed_grid([f"{MARGIN}=0.1,0.2"], [Path("other.yaml"), Path("triplet.yaml")])
    assert variants(Path("other.yaml"), grid) == [()]
    assert variants(Path("triplet.yaml"), grid) == [((MARGIN, "0.1"),), ((MARGIN, "0.2"),)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere is no YAML file and no folder"),
        (["triplet.yaml", "--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["triplet.yaml", "--grid", "a.b=1"], "--grid a.b: none of the files states it"),
        (["triplet.yaml", "--grid", "a.b"], "not of the form KEY=VALUE,VALUE"),
        (["triplet.yaml", "--set", "a.b"], "not of the form KEY=VALUE"),
        (["triplet.yaml", "--against", "x"], "the methods are triplet"),
        (["triplet.yaml", "--skip", "triplet"], "nothing is left to compare"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    made: list[Path], arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(UserError, match=words.replace(".", "\\.")):
        compare(arguments)
    monkeypatch.setattr(sys, "argv", ["compare", *arguments])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert words in capsys.readouterr().err and not made


@pytest.mark.slow
def test_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "triplet.yaml").write_text(CONFIG.format(loss="TripletMarginLoss", dim=2))
    arguments = ["triplet.yaml", "--seeds", "1", "--max_epochs", "1", "--threads", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    done = subprocess.run(
        [sys.executable, "-m", "experiments.compare", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 finished: triplet, seed 0: " in done.stdout and "| k-NN accuracy |" in done.stdout
    assert torch.load(next(tmp_path.rglob("last.ckpt")), weights_only=True)["epoch"] == 0

"""However ranks are started, by Lightning, torchrun or srun, a run comes to the same, and to what one process does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import metric_lightning
from metric_lightning.cli import main
from tests.distributed.ranks import free_port

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CONFIG = """
seed_everything: 0
data:
  class_path: metric_lightning.data.Digits
  init_args:
    batches:
      class_path: metric_lightning.data.BalancedBatches
      init_args: {n_classes: 10, n_samples: 6, shard: true}
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network: {class_path: metric_lightning.networks.EmbeddingNet, init_args: {embedding_dim: 2, padding: 2}}
    loss: {class_path: metric_lightning.losses.TripletMarginLoss, init_args: {margin: 1.0}}
    optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.05, momentum: 0.9}}
trainer:
  {max_epochs: 1, limit_train_batches: 6, accelerator: cpu, enable_progress_bar: false, enable_model_summary: false}
default_callbacks: false
"""
TRAINERS = Path(__file__).parents[2] / "docs" / "trainers"
FIT = ["-m", "metric_lightning.cli", "fit", "--config", "digits.yaml"]
TWO = [*FIT, "--config", str(TRAINERS / "ddp_cpu.yaml"), "--experiment", "digits"]


def environment(**added: object) -> dict[str, str]:
    source = str(Path(metric_lightning.__file__).parents[1])
    return (
        os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"} | {key: str(value) for key, value in added.items()}
    )


def lightning_starts(port: int) -> list[subprocess.Popen[str]]:
    return [started([sys.executable, *TWO], environment(MASTER_PORT=port))]


def torchrun_starts(port: int) -> list[subprocess.Popen[str]]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1", "--nproc_per_node", "2"]
    return [started([*torchrun, "--master_addr", "127.0.0.1", "--master_port", str(port), *TWO], environment())]


def srun_starts(port: int) -> list[subprocess.Popen[str]]:
    """Do what srun does for two tasks on one node: its variables are all that Lightning sees of SLURM."""
    return [started([sys.executable, *TWO], environment(MASTER_PORT=port, **slurm(rank))) for rank in range(2)]


def slurm(rank: int) -> dict[str, object]:
    return {
        "SLURM_JOB_ID": 4242,
        "SLURM_JOB_NAME": "fit",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_NNODES": 1,
        "SLURM_NTASKS": 2,
        "SLURM_NTASKS_PER_NODE": 2,
        "SLURM_NODEID": 0,
        "SLURM_PROCID": rank,
        "SLURM_LOCALID": rank,
    }


def started(command: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def weights() -> dict[str, Any]:
    runs = sorted(path.name for path in Path("lightning_logs/digits").iterdir())
    assert runs == ["version_0"], "one run has one folder, whatever the number of ranks"
    return torch.load("lightning_logs/digits/version_0/checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
def test_ranks_come_to_the_same_however_they_are_started(tmp_path, monkeypatch, capsys):
    found = {}
    for name, start in {"lightning": lightning_starts, "torchrun": torchrun_starts, "srun": srun_starts}.items():
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("digits.yaml").write_text(CONFIG)
        ranks = start(free_port())
        try:
            said = [rank.communicate(timeout=120)[0] for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
        assert [rank.returncode for rank in ranks] == [0] * len(ranks), said
        assert "Starting with 2 processes" in "".join(said)
        found[name] = weights()
    monkeypatch.chdir(tmp_path)
    Path("digits.yaml").write_text(CONFIG)
    main(FIT[2:])
    found["one process"] = weights()
    for name in ("torchrun", "srun"):
        torch.testing.assert_close(found[name], found["lightning"], rtol=0, atol=0)
    torch.testing.assert_close(found["lightning"], found["one process"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", sorted(TRAINERS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_trainer_file_is_one_that_the_command_line_takes(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("digits.yaml").write_text(CONFIG)
    with pytest.raises(SystemExit) as stopped:
        main([*FIT[2:], "--config", str(file), "--print_config"])
    assert not stopped.value.code
    printed = yaml.safe_load(capsys.readouterr().out)["trainer"]
    given = yaml.safe_load(file.read_text())["trainer"]
    assert printed["max_epochs"] == 1
    for name in {"accelerator", "devices", "num_nodes"} & set(given):
        assert printed[name] == given[name]
    named = [callback["class_path"] for callback in printed.get("callbacks") or []]
    assert set(given.get("callbacks", [])) <= set(named)
    if isinstance(given.get("strategy"), dict):
        assert given["strategy"]["init_args"].items() <= printed["strategy"]["init_args"].items()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"SLURM_NTASKS_PER_NODE": "4"}, "the number of tasks per node configured in SLURM `--ntasks-per-node=4`"),
        ({"SLURM_NNODES": "3"}, "the number of nodes configured in SLURM `--nodes=3` does not match"),
    ],
)
def test_a_job_of_another_size_than_the_trainer_gets_its_sentence(changed, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("digits.yaml").write_text(CONFIG)
    for name, value in slurm(0).items():
        monkeypatch.setenv(name, str(value))
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        main(TWO[2:])
    assert stopped.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert sentence in line

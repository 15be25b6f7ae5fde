"""Whole numbers of the Trainer stay whole, whatever was imported before."""

import inspect
from typing import Union

import pytest
from lightning.pytorch import Trainer

from metric_lightning.cli import main


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("written", "read"), [("1", "1"), ("2", "2"), ("0.5", "0.5"), ("1.0", "1.0")])
def test_one_batch_is_not_all_batches(tmp_path, monkeypatch, capsys, written, read):
    # As an import of something with Optional[Union[float, int]] before Lightning's would have it.
    annotations = inspect.unwrap(Trainer.__init__).__annotations__
    monkeypatch.setitem(annotations, "limit_train_batches", Union[float, int, None])  # noqa: UP007
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "some.yaml"
    config.write_text(f"trainer: {{limit_train_batches: {written}}}\n")
    with pytest.raises(SystemExit) as status:
        main(["fit", "--config", "some.yaml", "--print_config"])
    assert status.value.code == 0
    assert f"limit_train_batches: {read}\n" in capsys.readouterr().out

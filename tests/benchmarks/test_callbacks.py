"""The benchmark of the default callbacks counts their hooks, and nothing else."""

from benchmarks.callbacks import DEFAULT, seconds_of, table
from metric_lightning.cli import _CALLBACKS


def test_every_default_callback_but_the_checkpoints_is_counted():
    assert set(DEFAULT) == {callback.__name__ for callback in _CALLBACKS.values()} - {"BestCheckpoint"}


def test_the_share_is_that_of_their_hooks_in_the_rest():
    found = seconds_of(
        {
            "[Callback]Projector.on_train_end": [1.0, 1.0],
            "[Callback]Projector.on_test_end": [0.5],
            "[Callback]BestCheckpoint{'monitor': 'val/map_at_r'}.on_validation_end": [8.0],
            "run_training_epoch": [20.0],
        }
    )
    assert found["Projector"] == 2.5 and sum(found.values()) == 2.5
    assert table(52.5, found).splitlines()[-1] == "they add 5.0%: 2.5 s to 50.0 s of training"

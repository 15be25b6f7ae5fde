"""The data of a run that is over."""

from pathlib import Path

from jsonargparse import ArgumentParser

from metric_lightning.command_line.saved_config import config_of
from metric_lightning.data import MetricDataModule


def data_of(checkpoint: Path) -> MetricDataModule:
    """Return the data module of a checkpoint's run, set up."""
    parser = ArgumentParser()
    parser.add_subclass_arguments(MetricDataModule, "data")
    data: MetricDataModule = parser.instantiate(parser.parse_object({"data": config_of(str(checkpoint))["data"]})).data
    data.setup()
    return data

"""Hyperparameters of a run as a flat table, and in TensorBoard's hparams tab."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

from metric_lightning.parts import describe

Scalar = bool | int | float | str

# What a table of runs is not to be widened by.
_PRIVATE = ("_instantiator", "_class_path")


def hyperparameters(trainer: Trainer, module: LightningModule, seed: int | None) -> dict[str, Scalar]:
    """Return what makes this run differ from others: model, data, trainer, one scalar each.

    Parts are named by their class: {"model/loss": "TripletMarginLoss", "model/loss/margin": 0.2}.
    """
    found = {"model": type(module).__name__} | flat(dict(module.hparams), "model")
    data = getattr(trainer, "datamodule", None)
    if data is not None:
        found |= _of_data(data)
    found |= {
        "trainer/max_epochs": -1 if trainer.max_epochs is None else trainer.max_epochs,
        "trainer/max_steps": trainer.max_steps,
        "trainer/precision": str(trainer.precision),
        "trainer/world_size": trainer.world_size,
        "trainer/accumulate_grad_batches": trainer.accumulate_grad_batches,
    }
    return found if seed is None else found | {"seed": seed}


def flat(value: Any, name: str) -> dict[str, Scalar]:
    """Return plain nested data as scalars by path; the description of a part gives its class's name; None is left out.

    Example:
        >>> loss = {"class_path": "a.b.Triplet", "init_args": {"margin": 0.2, "miner": None}}
        >>> flat({"loss": loss, "sizes": [1, 2]}, "model")
        {'model/loss': 'Triplet', 'model/loss/margin': 0.2, 'model/sizes': '[1, 2]'}
    """
    if isinstance(value, Mapping) and "class_path" in value:
        own: dict[str, Scalar] = {name: str(value["class_path"]).rsplit(".", 1)[-1]}
        return own | flat(value.get("init_args") or {}, name)
    if isinstance(value, Mapping):
        items = ((str(key), item) for key, item in value.items() if key not in _PRIVATE)
        return {path: scalar for key, item in items for path, scalar in flat(item, f"{name}/{key}").items()}
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return {path: scalar for i, item in enumerate(value) for path, scalar in flat(item, f"{name}/{i}").items()}
    if value is None:
        return {}
    return {name: value if isinstance(value, bool | int | float | str) else str(value)}


def _of_data(data: LightningDataModule) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {"data": type(data).__name__}
    for name in ("batches", "split", "seed"):
        try:
            found |= flat(describe(getattr(data, name, None)), f"data/{name}")
        except TypeError:  # a part of another project's, not described: its class must do
            found[f"data/{name}"] = type(getattr(data, name)).__name__
    return found


def session_start(parameters: Mapping[str, Scalar]) -> Summary:
    """Return the event by which TensorBoard lists a run in its hparams tab.

    The tab finds the metrics by itself: all scalars of the run. No experiment event is written, as
    `SummaryWriter.add_hparams` and Lightning do: of several runs TensorBoard reads one such event and then
    shows no parameter that this run doesn't have.
    """
    info = SessionStartInfo()
    for name, value in parameters.items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            info.hparams[name].number_value = value
        else:
            info.hparams[name].string_value = value
    return _summary(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info))


def session_end(succeeded: bool) -> Summary:
    """Return the event by which TensorBoard shows that a run is over, and how."""
    from tensorboard.plugins.hparams.api_pb2 import Status

    status = Status.STATUS_SUCCESS if succeeded else Status.STATUS_FAILURE
    return _summary(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=SessionEndInfo(status=status)))


def _summary(tag: str, content: HParamsPluginData) -> Summary:
    return Summary(
        value=[Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(content), tensor=metadata.NULL_TENSOR)]
    )

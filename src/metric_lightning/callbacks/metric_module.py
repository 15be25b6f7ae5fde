"""The callbacks here read what a `MetricModule` keeps."""

from lightning.pytorch import Callback, LightningModule

from metric_lightning.modules import MetricModule


def require_metric_module(callback: Callback, module: LightningModule) -> MetricModule:
    """Return the module, or raise ValueError in one sentence where it is of another kind."""
    if not isinstance(module, MetricModule):
        raise ValueError(
            f"{type(callback).__name__} needs a MetricModule of metric_lightning.modules, got {type(module).__name__}; "
            "derive your module from it, or leave the callback out"
        )
    return module

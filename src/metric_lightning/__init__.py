"""Metric learning on PyTorch Lightning: one YAML file describes a whole run, every part is a class.

Nothing is imported here: a part (a loss in another training loop, say) costs only what it needs. `Embedder`, which
embeds pictures and searches for them by a checkpoint alone, is imported when it is asked for.

- `metric_lightning.losses`, `miners`, `distances`: usable in any PyTorch training loop;
- `metric_lightning.networks`, `data`, `modules`, `metrics`, `callbacks`: the pieces of a run;
- `metric_lightning.deployment`: embeddings of new pictures, export, search, from a checkpoint alone;
- `metric_lightning.cli`: the command line, `metric-lightning` or `python -m metric_lightning.cli`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metric_lightning.deployment.embedder import Embedder

__all__ = ["Embedder", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name != "Embedder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module("metric_lightning.deployment.embedder").Embedder

"""Metric learning on PyTorch Lightning: one YAML file describes a whole run, every part is a class.

Nothing is imported here: a part (a loss in another training loop, say) costs only what it needs.

- `metric_lightning.losses`, `miners`, `distances`: usable in any PyTorch training loop;
- `metric_lightning.networks`, `data`, `modules`, `metrics`, `callbacks`: the pieces of a run;
- `metric_lightning.cli`: the command line, `metric-lightning` or `python -m metric_lightning.cli`.
"""

__version__ = "0.1.0"

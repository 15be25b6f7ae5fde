"""What a checkpoint keeps of its data, so that it names classes and prepares pictures without them."""

from typing import Any

from metric_lightning.data.data_module import MetricDataModule

KEY = "metric_lightning_data"


def data_record(data: MetricDataModule) -> dict[str, Any]:
    """Return plain data of a data module.

    - `class_names`: by label;
    - `num_classes`: of the training part;
    - `preprocessing`: how evaluation prepares pictures, None where it can't be said.
    """
    return {
        "class_names": list(data.class_names),
        "num_classes": data.num_classes,
        "preprocessing": data.preprocessing(),
    }

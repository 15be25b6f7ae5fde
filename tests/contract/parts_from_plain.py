"""Builds a part again from what `describe` says of it, the way jsonargparse does."""

import importlib
from typing import Any


def rebuild(description: Any) -> Any:
    """Turn {"class_path", "init_args"} into objects, through lists and nested arguments."""
    if isinstance(description, list):
        return [rebuild(item) for item in description]
    if not isinstance(description, dict):
        return description
    if "class_path" not in description:
        return {key: rebuild(item) for key, item in description.items()}
    module, _, name = description["class_path"].rpartition(".")
    arguments = {key: rebuild(item) for key, item in description["init_args"].items()}
    return getattr(importlib.import_module(module), name)(**arguments)

"""Packages that only some commands need: a missing one is said in a sentence that tells how to get it."""

import importlib
from types import ModuleType

from metric_lightning.errors import UserError


def require(package: str, extra: str, purpose: str) -> ModuleType:
    """Return an imported package that an extra of this one brings.

    Args:
        package: what is imported.
        extra: the extra that installs it.
        purpose: what it is needed for, as the sentence's subject.

    Raises:
        UserError: it isn't installed.

    Example:
        >>> require("math", "search", "a search index").pi > 3
        True
        >>> require("no_such_package", "search", "a search index")
        Traceback (most recent call last):
        metric_lightning.errors.UserError: a search index needs no_such_package, which is not installed: \
pip install "metric_lightning[search]"
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f'{purpose} needs {package}, which is not installed: pip install "metric_lightning[{extra}]"'
        ) from error

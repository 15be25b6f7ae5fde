"""What a checkpoint says of how its module was made, so that it can be made again from the checkpoint alone."""

from typing import Any

from lightning.pytorch.core.mixins import hparams_mixin

from metric_lightning.parts import Part, describe

_INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"


def given_by_cli() -> bool:
    """Whether the command line is building a module just now, and has its arguments as plain data already."""
    return hparams_mixin._given_hyperparameters.get() is not None


def described_arguments(module: Part) -> dict[str, Any]:
    """Return the constructor's arguments of `module` as the plain data that the command line would have recorded.

    Arguments that can't be described (a plain `nn.Module`, a lambda) are left out and must be given again to
    `load_from_checkpoint`.
    """
    arguments: dict[str, Any] = {"_instantiator": _INSTANTIATOR}
    for name, value in module.given_arguments().items():
        try:
            arguments[name] = describe(value)
        except TypeError:
            continue
    return arguments

"""Networks and class weights too large for one device: each rank holds a part of every parameter (FSDP2).

Of W ranks each keeps a W-th of every parameter, of its gradient and of the optimizer's state. While a block of the
network computes, its parameters are brought together and let go again. Gradients are averaged over ranks, as DDP does.
"""

from collections.abc import Iterator

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from metric_lightning.errors import UserError
from metric_lightning.losses.sharded_classes import ShardedClassLoss

_LISTS = (nn.Sequential, nn.ModuleList)


def spread(module: nn.Module, loss: nn.Module, mesh: DeviceMesh) -> None:
    """Leave each rank its part of every parameter, before optimizers are made; a second call changes nothing.

    Args:
        module: whose children are network, head, loss.
        loss: one of them; it computes by `terms`.
        mesh: the strategy's, with the dimensions "data_parallel" and "tensor_parallel".

    Raises:
        UserError: more than one tensor-parallel rank, or a parameter that can't be parted.
    """
    if is_spread(module):
        return
    if mesh["tensor_parallel"].size() > 1:
        raise UserError(
            f"ModelParallelStrategy: tensor_parallel_size must be 1, got {mesh['tensor_parallel'].size()}; set "
            "data_parallel_size to the number of ranks, each trains on batches of its own"
        )
    if any(isinstance(part, ShardedClassLoss) for part in loss.modules()):
        raise UserError(
            f"{type(loss).__name__} shares out its classes over ranks by itself, with strategy ddp; with "
            "ModelParallelStrategy use ArcFaceLoss or another"
        )
    scalars = [name for name, parameter in module.named_parameters() if parameter.ndim == 0]
    if scalars:
        raise UserError(f"ModelParallelStrategy can't part {scalars[0]}, a single number: use strategy ddp")
    ranks = mesh["data_parallel"]
    children = list(module.children())
    inner = [block for child in children if child is not loss for block in blocks(child)]
    for part in [*inner, *children]:
        if any(True for _ in part.parameters()):
            fully_shard(part, mesh=ranks, reshard_after_forward=True)
    # Ranks call `terms`, not `forward`: on both, weights would be brought together twice.
    register_fsdp_forward_method(loss, "terms")


def is_spread(module: nn.Module) -> bool:
    """Whether this rank holds a part of each parameter only."""
    return any(isinstance(parameter, DTensor) for parameter in module.parameters())


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Yield what computes one after the other: the members of a network's lists of layers, not parts of these.

    Example:
        >>> layers = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
        >>> [type(block).__name__ for block in blocks(layers)]
        ['Linear', 'Linear', 'ReLU']
    """
    for child in network.children():
        if isinstance(child, _LISTS) or not isinstance(network, _LISTS):
            yield from blocks(child)
        else:
            yield child

"""Class weights shared out over ranks: their loss, and their place in checkpoints.

W ranks, rank r holds the weights and the optimizer's state of C_r of C classes. All ranks score all N rows of the
gathered batch. With L_r the logarithm of the share's sum of exponentials, the cost of a row is
log sum_r exp(L_r) - s_y; its derivative by L_r is exp(L_r) / sum_q exp(L_q), so each rank differentiates what it has.

Gradients of the weights are whole as they are: trainers must not average them (`not_averaged`). Those of the embeddings
are summed over ranks by the gather, and multiplied by W, since trainers will average what the network makes of them.
"""

from typing import Any, TypeGuard

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from metric_lightning.errors import UserError
from metric_lightning.functional.precision import full_precision
from metric_lightning.losses.sharded_classes import ShardedClassLoss
from metric_lightning.modules.gather import gather_rows, lost_ranks_named, row_counts, world_size

_PLACES = "metric_lightning_shared_out"


def loss_over_shards(loss: ShardedClassLoss, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return what this rank differentiates, and the value of the loss on the batch of all ranks (detached).

    Args:
        loss: with this rank's share of the classes.
        embeddings: (n_r, D) of this rank.
        labels: (n_r,).
    """
    counts = row_counts(len(embeddings), embeddings.device)
    rows = _multiplied(gather_rows(full_precision(embeddings), counts), world_size())
    sums = loss.shard_sums(rows, gather_rows(labels, counts))
    local = torch.stack([sums.log_sums.detach(), sums.own.detach()])
    shares = [torch.empty_like(local) for _ in counts]
    with lost_ranks_named():
        dist.all_gather(shares, local)
    every = torch.stack(shares)
    log_sum = every[:, 0].logsumexp(dim=0)
    number = max(1, len(rows))
    weights = (local[0] - log_sum).exp()
    differentiated = (weights * sums.log_sums - sums.own).sum() / number
    return differentiated, (log_sum - every[:, 1].sum(dim=0)).sum() / number


def share_out(module: LightningModule, loss: nn.Module) -> None:
    """Leave each rank its share of the classes, before optimizers are made.

    Raises:
        UserError: the loss is a part of another, or the trainer scales gradients for float16.
    """
    if world_size() == 1 or is_shared_out(loss):
        return
    inner = [part for part in loss.modules() if isinstance(part, ShardedClassLoss) and part is not loss]
    if inner:
        raise UserError(
            f"{type(inner[0]).__name__} can't be a part of {type(loss).__name__} on several ranks: each would hold all "
            "classes; use it alone"
        )
    if not isinstance(loss, ShardedClassLoss):
        return
    if getattr(module.trainer.precision_plugin, "scaler", None) is not None:
        raise UserError(
            "precision 16-mixed can't be used with class weights shared out over ranks: each rank would skip other "
            "steps; use bf16-mixed"
        )
    loss.keep_share(dist.get_rank(), world_size())


def is_shared_out(loss: nn.Module) -> TypeGuard[ShardedClassLoss]:
    """Whether this rank holds a share of the loss's classes only."""
    return isinstance(loss, ShardedClassLoss) and loss.ranks > 1


def clip_by_whole_norm(loss: ShardedClassLoss, optimizer: torch.optim.Optimizer, largest: float) -> None:
    """Scale all gradients so that their norm, the shares of all ranks included, is at most `largest`; all must call.

    Gradients but those of shares are averaged already, and the same on every rank.
    """
    share = loss.weight
    others = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None and p is not share]
    squared = share.new_zeros(()) if share.grad is None else share.grad.norm().square()
    with lost_ranks_named():
        dist.all_reduce(squared)
    rest = torch.nn.utils.get_total_norm([parameter.grad for parameter in others])
    torch.nn.utils.clip_grads_with_norm_([share, *others], largest, (squared + rest.square()).sqrt())


def not_averaged(loss: nn.Module) -> list[str]:
    """Return the names of what DDP shall leave alone, within the loss: shares, and buffers, which are equal anyway."""
    names = [name for name, _ in loss.named_buffers()]
    return [*names, "weight"] if is_shared_out(loss) else names


def put_together(module: LightningModule, loss: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Put the weights and optimizer states of all ranks into a checkpoint; all ranks must call."""
    if not isinstance(loss, ShardedClassLoss):
        return
    share = loss.weight
    name = next(name for name, parameter in module.named_parameters() if parameter is share)
    if loss.ranks > 1:
        checkpoint["state_dict"][name] = _whole(share.detach())
    places: list[int | None] = []
    for optimizer, state in zip(module.trainer.optimizers, checkpoint.get("optimizer_states", []), strict=False):
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        place = next((number for number, parameter in enumerate(parameters) if parameter is share), None)
        places.append(place)
        # None: frozen. On one rank it is whole as it is; several ranks that go on with it must know its place.
        if place is None or loss.ranks == 1:
            continue
        found = state["state"].get(place, {})
        # Not in place: these are the optimizer's own.
        state["state"][place] = {key: _whole(item) if _like(item, share) else item for key, item in found.items()}
    checkpoint[_PLACES] = places


def take_share(loss: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Cut the optimizer states of a checkpoint to this rank's share; the loss cuts its weights by itself."""
    if not isinstance(loss, ShardedClassLoss) or loss.ranks == 1:
        return
    rows = slice(loss.first, loss.first + len(loss.weight))
    shape = (loss.num_classes, *loss.weight.shape[1:])
    for place, state in zip(checkpoint.get(_PLACES, []), checkpoint.get("optimizer_states", []), strict=False):
        if place is None:
            continue
        found = state["state"].get(place, {})
        whole = {key: isinstance(item, Tensor) and item.shape == shape for key, item in found.items()}
        state["state"][place] = {key: item[rows].clone() if whole[key] else item for key, item in found.items()}


def _whole(share: Tensor) -> Tensor:
    return gather_rows(share.contiguous(), row_counts(len(share), share.device)).cpu()


def _like(item: Any, share: Tensor) -> bool:
    return isinstance(item, Tensor) and item.shape == share.shape


def _multiplied(rows: Tensor, factor: int) -> Tensor:
    """Return the rows; their gradient is multiplied on its way back."""
    result: Tensor = _Multiplied.apply(rows, factor)
    return result


class _Multiplied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return rows.view_as(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None

"""Where a model computes."""

import torch

from metric_lightning.errors import UserError


def usable_device(name: str | torch.device | None = None) -> torch.device:
    """Return a device of this machine.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps", ...; None: the first GPU, else the CPU.

    Raises:
        UserError: there is no such device, or PyTorch can't use it here.

    Example:
        >>> usable_device("cpu")
        device(type='cpu')
        >>> usable_device("gpu")
        Traceback (most recent call last):
        metric_lightning.errors.UserError: device 'gpu' is none that PyTorch can use here; take one of cpu...
    """
    at_hand = _at_hand()
    if name is None:
        return torch.device(next((device for device in at_hand if device.startswith("cuda")), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _refusal(name, at_hand) from error
    if str(device) not in at_hand:
        raise _refusal(name, at_hand)
    return device


def _at_hand() -> list[str]:
    names = ["cpu"]
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None:
        kind = accelerator.type
        names += [kind, *(f"{kind}:{number}" for number in range(torch.accelerator.device_count()))]
    return names


def _refusal(name: str | torch.device, at_hand: list[str]) -> UserError:
    return UserError(f"device {str(name)!r} is none that PyTorch can use here; take one of {', '.join(at_hand)}")

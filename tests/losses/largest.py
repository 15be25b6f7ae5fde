"""How large a tensor a computation makes: what it needs at least, whatever the allocator keeps."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that any operation gave."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        made = [item for item in tree_leaves(result) if torch.is_tensor(item)]
        sizes = [item.untyped_storage().nbytes() // item.itemsize for item in made]
        self.elements = max([self.elements, *sizes])
        return result

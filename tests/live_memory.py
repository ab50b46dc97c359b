"""The largest sum of tensors that live at the same time, counted op by op: on the CPU, or of weightless `meta` ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Peak(TorchDispatchMode):
    """Counts the storages that ops made within it and that still live; those of `known` tensors do not count."""

    def __init__(self, known: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.known = {tensor.untyped_storage()._cdata for tensor in known}
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.bytes = 0

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = op(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.known:
                storage = tensor.untyped_storage()
                self.live.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))
        self.live = {key: kept for key, kept in self.live.items() if not kept[0].expired()}
        self.bytes = max(self.bytes, sum(size for _, size in self.live.values()))
        return made


def peak_of(nets: Iterable[torch.nn.Module], call: Callable[[], object]) -> int:
    """Bytes that live at the peak of `call`, beyond the weights of `nets`."""
    known = [tensor for net in nets for tensor in (*net.parameters(), *net.buffers())]
    with torch.no_grad(), Peak(known) as peak:
        call()
    return peak.bytes

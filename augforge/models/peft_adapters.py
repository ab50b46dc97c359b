"""diffusers' methods for LoRAs on denoisers whose classes lack them."""

from __future__ import annotations

from typing import Any


def with_adapter_methods(net: Any) -> Any:
    """The same network, with the methods of `PeftAdapterMixin` if its class has none (PixArt's and DiT's).

    Its class becomes one of the same name that has them, too; weights and configuration stay as they are.
    """
    from diffusers.loaders import PeftAdapterMixin

    kind = type(net)
    if not hasattr(net, "add_adapter"):
        net.__class__ = type(kind.__name__, (kind, PeftAdapterMixin), {})
    return net

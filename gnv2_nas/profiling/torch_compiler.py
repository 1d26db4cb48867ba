"""`torch.compile` for many networks in one process."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

import torch
from torch import Tensor, nn


def compiled_call(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """`module`, compiled as one graph when first called.

    torch keeps what it compiled by code object, eight versions of each, and then runs the code
    uncompiled without a word. All networks share the code of `Network.forward`, so each gets an
    outer function whose code object is its own.
    """

    def call(image: Tensor) -> Tensor:
        out: Tensor = module(image)
        return out

    own = FunctionType(
        call.__code__.replace(co_name=f"network_{id(module)}"),
        call.__globals__,
        closure=call.__closure__,
    )
    compiled: Callable[[Tensor], Tensor] = torch.compile(own, fullgraph=True, dynamic=False)
    return compiled

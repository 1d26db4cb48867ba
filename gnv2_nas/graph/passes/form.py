"""`FileForm`: which passes rewrite a graph before it is written. Every form computes the same."""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_MULTIPLE, MAX_FUSED = 64, 4096


class FileForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The form of a network's file. `None` leaves an option as the runtime has it built in."""

    channel_multiple: Annotated[int, msgspec.Meta(ge=1, le=MAX_MULTIPLE)] | None = None
    """Channels are padded to multiples of this, see `pad_channels`; 1 pads nothing."""
    fuse_up_to: Annotated[int, msgspec.Meta(ge=0, le=MAX_FUSED)] | None = None
    """Ghost modules of up to so many channels are one depthwise convolution, see
    `fuse_ghost_modules`; 0 fuses none."""
    split_depthwise: bool | None = None
    """Whether depthwise convolutions of several outputs per input become several plain ones."""
    sink_concats: bool | None = None
    """Whether concatenations come after the strided depthwise convolution that reads them."""

    def over(self, other: FileForm) -> FileForm:
        """Return this form with its undecided options from `other`."""
        own = {name: value for name, value in _options(self).items() if value is not None}
        return msgspec.structs.replace(other, **own)

    def without(self, other: FileForm) -> FileForm:
        """Return this form without the options that `other` decides in the same way."""
        same = _options(other).items() & _options(self).items()
        return msgspec.structs.replace(self, **dict.fromkeys(name for name, _ in same))

    def __str__(self) -> str:
        """Return "channels in multiples of 8, depthwise convolutions not split"."""
        told = {
            "channel_multiple": f"channels in multiples of {self.channel_multiple}",
            "fuse_up_to": f"Ghost modules fused up to {self.fuse_up_to} channels",
            "split_depthwise": f"depthwise convolutions {_not(self.split_depthwise)}split",
            "sink_concats": f"concatenations {_not(self.sink_concats)}sunk",
        }
        if self.channel_multiple == 1:
            told["channel_multiple"] = "channels not padded"
        if self.fuse_up_to == 0:
            told["fuse_up_to"] = "Ghost modules not fused"
        decided = [told[name] for name, value in _options(self).items() if value is not None]
        return ", ".join(decided) or BUILT_IN


BUILT_IN = "built-in"
"""Name of the form in which nothing is decided."""


def _options(form: FileForm) -> dict[str, int | bool | None]:
    return msgspec.structs.asdict(form)


def _not(value: bool | None) -> str:
    return "" if value else "not "

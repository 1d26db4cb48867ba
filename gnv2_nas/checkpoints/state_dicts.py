"""Which of the dicts in a checkpoint holds the weights of a network.

Training scripts wrap them ({"state_dict": …}, {"model": …, "optimizer": …}), keep an average of
them beside them, and put a prefix before every key ("module.", "_orig_mod.", "model."). So the
nesting is searched for keys of the network, wherever they stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gnv2_nas.errors import CheckpointError

AVERAGE, RAW = "average", "raw"

_MOST_TRIED = 8
_DEEPEST = 16
_LONGEST_KEY = 200
_LONGEST_NAME = 80
_WRAPPERS = ("_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod", "module")
"""Parts of keys that stand for no part of a network: `torch.compile`, data parallel …"""
_AVERAGE = re.compile(
    r"(?i:(^|[^a-z])(ema|swa|avg|average|averaged|averages|shadow)([^a-z]|$))|EMA|SWA"
)


class StateDict(msgspec.Struct, frozen=True):
    """A dict that may be the weights of a network."""

    place: str
    """Where it stands: "state_dict_ema", "state_dict.model"; "" for the whole file."""
    tensors: Mapping[str, Any]
    """Without the prefix of their keys."""

    @property
    def is_average(self) -> bool:
        return _AVERAGE.search(self.place) is not None


class Choice(msgspec.Struct, frozen=True):
    """The weights that are read, and what there is to say about it."""

    state: StateDict
    note: str = ""
    """"its 'state_dict_ema' is read, the average; …"; "" where the file holds nothing else."""


def find_state_dicts(loaded: Any, keys: Collection[str]) -> list[StateDict]:
    """The dicts that share most keys with a network, best first.

    Args:
        loaded: what a file held.
        keys: of the network's state dict.

    Raises:
        CheckpointError: there is no mapping from text at all.
    """
    found: list[tuple[int, StateDict]] = []
    largest: Mapping[str, Any] | None = None
    for path, mapping in _mappings(loaded):
        prefixes = Counter(_prefixes(mapping, keys)).most_common(_MOST_TRIED)
        for prefix, count in prefixes:
            place = ".".join([*path, *filter(None, prefix.rstrip(".").split("."))])
            found.append((count, StateDict(place, _below(mapping, prefix))))
        if largest is None or (not found and len(mapping) > len(largest)):
            largest = mapping
    if largest is None:
        raise CheckpointError("holds no state dict (a mapping from names to tensors)")
    found.sort(key=lambda each: -each[0])
    return [state for _, state in found[:_MOST_TRIED]] or [StateDict("", largest)]


def choose(fitting: Sequence[StateDict], wanted: str) -> Choice:
    """The one of several state dicts that fit a network.

    Args:
        wanted: "average" or "raw" where a file has both; or the place of one.

    Raises:
        CheckpointError: several are meant, or none.
    """
    # Two names of the same weights are no choice.
    states = [
        state
        for index, state in enumerate(fitting)
        if not any(_same(state.tensors, other.tensors) for other in fitting[:index])
    ]
    named = [state for state in fitting if state.place == wanted]
    if named or wanted not in (AVERAGE, RAW):
        meant = named
    else:
        meant = [state for state in states if state.is_average == (wanted == AVERAGE)]
        meant = meant or (states if wanted == AVERAGE else [])
    names = _listed(states)
    if len(meant) > 1:
        raise CheckpointError(
            f"holds several weights that fit, {names}; say which with --weights-from NAME "
            "(weights_from=NAME in Python)"
        )
    if not meant:
        raise CheckpointError(f"holds no weights {_short(wanted)}; those that fit are {names}")
    (state,) = meant
    others = [other for other in states if other is not state and not named]
    if not others:
        return Choice(state, f"its {_name(state)} is read" if state.place else "")
    kind, otherwise = ("the average", RAW) if state.is_average else ("not an average", AVERAGE)
    return Choice(
        state,
        f"its {_name(state)} is read, {kind}; --weights-from {otherwise} reads {_listed(others)}",
    )


def _mappings(loaded: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every mapping from text in the nesting, the outer ones first; each once."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), loaded)]
    seen: set[int] = set()
    for path, value in waiting:
        if not isinstance(value, Mapping) or id(value) in seen or len(path) > _DEEPEST:
            continue
        seen.add(id(value))
        if all(isinstance(key, str) for key in value):
            yield path, value
        waiting += [
            ((*path, key), inner)
            for key, inner in value.items()
            if isinstance(inner, Mapping) and isinstance(key, str) and len(key) <= _LONGEST_KEY
        ]


def _prefixes(mapping: Mapping[str, Any], keys: Collection[str]) -> Iterator[str]:
    """For every key that ends as one of the network's does, what stands before it."""
    most = max((key.count(".") + 1 for key in keys), default=0)
    for key in mapping:
        parts = _plain(key).split(".") if len(key) <= _LONGEST_KEY else []
        for start in range(max(0, len(parts) - most), len(parts)):
            if ".".join(parts[start:]) in keys:
                yield _prefix(key, parts[start:])
                break


def _prefix(key: str, rest: Sequence[str]) -> str:
    """What stands in `key` before the parts `rest`, wrappers and all."""
    parts = key.split(".")
    position = len(parts)
    for part in reversed(rest):
        position -= 1
        while parts[position] != part:
            position -= 1
    return "".join(f"{part}." for part in parts[:position])


def _below(mapping: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    below: dict[str, Any] = {}
    for key, value in mapping.items():
        if key.startswith(prefix):
            rest = key.removeprefix(prefix)
            plain = _plain(rest)
            below[rest if plain in below else plain] = value
    return below


def _plain(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        one[key] is other[key] or _place(one[key]) == _place(other[key]) is not None for key in one
    )


def _place(tensor: Any) -> Any:
    """Where a tensor's values are; None where that is not known."""
    if getattr(tensor, "storage", None) is not None and hasattr(tensor, "offset"):
        return tensor.storage.key, tensor.offset, tensor.stride, tensor.shape
    if hasattr(tensor, "data_ptr") and tensor.data_ptr():
        return tensor.data_ptr(), tensor.stride(), tensor.shape
    return None


def _name(state: StateDict) -> str:
    return _short(state.place) if state.place else "outermost dict"


def _short(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")


def _listed(states: Sequence[StateDict]) -> str:
    return ", ".join(_name(state) for state in states)

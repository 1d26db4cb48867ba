"""Finds the weights of a network among the dicts in a checkpoint.

Training scripts nest state dicts ({"state_dict": …}, {"model": …, "optimizer": …}), keep an average
beside them, and prefix every key ("module.", "_orig_mod.", "model."). So this module searches all
nested dicts for keys that end like those of the network.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gnv2_nas.errors import CheckpointError

AVERAGE, RAW = "average", "raw"

_MAX_CANDIDATES = 8
_MAX_DEPTH = 16
_MAX_KEY = 200
_MAX_NAME = 80
_WRAPPERS = ("_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod", "module")
"""Parts of keys that wrappers such as `torch.compile` and data parallel insert."""
_AVERAGE = re.compile(
    r"(?i:(^|[^a-z])(ema|swa|avg|average|averaged|averages|shadow)([^a-z]|$))|EMA|SWA"
)


class StateDict(msgspec.Struct, frozen=True):
    """A dict that may be the weights of a network."""

    place: str
    """Its path in the file: "state_dict_ema", "state_dict.model"; "" for the whole file."""
    tensors: Mapping[str, Any]
    """Key without prefix → tensor."""

    @property
    def is_average(self) -> bool:
        return _AVERAGE.search(self.place) is not None


class Choice(msgspec.Struct, frozen=True):
    """The chosen weights."""

    state: StateDict
    note: str = ""
    """For the user: "its 'state_dict_ema' is read, the average; …"; "" if there is no other."""


def find_state_dicts(loaded: Any, keys: Collection[str]) -> list[StateDict]:
    """The dicts that share most keys with a network, best first.

    Args:
        loaded: the content of a file.
        keys: keys of the network's state dict.

    Raises:
        CheckpointError: the file has no mapping with text keys.
    """
    found: list[tuple[int, StateDict]] = []
    largest: Mapping[str, Any] | None = None
    for path, mapping in _mappings(loaded):
        prefixes = Counter(_prefixes(mapping, keys)).most_common(_MAX_CANDIDATES)
        for prefix, count in prefixes:
            place = ".".join([*path, *filter(None, prefix.rstrip(".").split("."))])
            found.append((count, StateDict(place, _below(mapping, prefix))))
        if largest is None or (not found and len(mapping) > len(largest)):
            largest = mapping
    if largest is None:
        raise CheckpointError("holds no state dict (a mapping from names to tensors)")
    found.sort(key=lambda each: -each[0])
    return [state for _, state in found[:_MAX_CANDIDATES]] or [StateDict("", largest)]


def choose(fitting: Sequence[StateDict], wanted: str) -> Choice:
    """Choose one of several state dicts that fit a network.

    Args:
        fitting: the state dicts.
        wanted: "average" or "raw" if a file has both, or the place of one.

    Raises:
        CheckpointError: the choice is ambiguous, or nothing matches `wanted`.
    """
    # The same weights under two names count once.
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
    names = _join(states)
    if len(meant) > 1:
        raise CheckpointError(
            f"holds several weights that fit, {names}; say which with --weights-from NAME "
            "(weights_from=NAME in Python)"
        )
    if not meant:
        raise CheckpointError(f"holds no weights {_shorten(wanted)}; those that fit are {names}")
    (state,) = meant
    others = [other for other in states if other is not state and not named]
    if not others:
        return Choice(state, f"its {_name(state)} is read" if state.place else "")
    kind, otherwise = ("the average", RAW) if state.is_average else ("not an average", AVERAGE)
    return Choice(
        state,
        f"its {_name(state)} is read, {kind}; --weights-from {otherwise} reads {_join(others)}",
    )


def _mappings(loaded: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every nested mapping with text keys, outer ones first, each once."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), loaded)]
    seen: set[int] = set()
    for path, value in waiting:
        if not isinstance(value, Mapping) or id(value) in seen or len(path) > _MAX_DEPTH:
            continue
        seen.add(id(value))
        if all(isinstance(key, str) for key in value):
            yield path, value
        waiting += [
            ((*path, key), inner)
            for key, inner in value.items()
            if isinstance(inner, Mapping) and isinstance(key, str) and len(key) <= _MAX_KEY
        ]


def _prefixes(mapping: Mapping[str, Any], keys: Collection[str]) -> Iterator[str]:
    """The prefix of every key that ends like a key of the network."""
    most = max((key.count(".") + 1 for key in keys), default=0)
    for key in mapping:
        parts = _plain(key).split(".") if len(key) <= _MAX_KEY else []
        for start in range(max(0, len(parts) - most), len(parts)):
            if ".".join(parts[start:]) in keys:
                yield _prefix(key, parts[start:])
                break


def _prefix(key: str, rest: Sequence[str]) -> str:
    """The part of `key` before `rest`, including wrappers."""
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
    """Identifies where a tensor's values are stored; None if unknown."""
    if getattr(tensor, "storage", None) is not None and hasattr(tensor, "offset"):
        return tensor.storage.key, tensor.offset, tensor.stride, tensor.shape
    if hasattr(tensor, "data_ptr") and tensor.data_ptr():
        return tensor.data_ptr(), tensor.stride(), tensor.shape
    return None


def _name(state: StateDict) -> str:
    return _shorten(state.place) if state.place else "outermost dict"


def _shorten(name: str) -> str:
    return repr(name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}…")


def _join(states: Sequence[StateDict]) -> str:
    return ", ".join(_name(state) for state in states)

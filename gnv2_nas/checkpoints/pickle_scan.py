"""Reads the pickle of a torch checkpoint without running it.

A pickle is a program for a small stack machine, and some of its instructions can call any function
of any module. This module runs the program on stand-ins: a global is only a name, and a call either
describes a tensor or returns a placeholder for a harmless value. Nothing is imported or called.

A few bytes can demand a lot of work, so the work is bounded: instructions are counted, no call
copies its arguments, and only text is used as a key.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import IO, Any

from gnv2_nas.checkpoints.pickle_calls import (
    CALLS,
    MAX_VALUES,
    STORAGES,
    TYPES,
    Global,
    check,
    is_harmless,
    new_dict,
    pairs_of,
)
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.compatibility import Storage

MAX_INSTRUCTIONS = 1_000_000
"""Most instructions of one pickle. GhostNetV2 with an average and the state of AdamW takes
92,000."""
_MAX_ARGUMENTS = 16
_MAX_NAME = 100
"""Characters of a name in a message."""


class PickleScan:
    """Reads the pickles of a stream, one per `load`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.storages: dict[str, Storage] = {}
        """Key → storage, for all storages so far."""
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        """The stacks under the marks."""
        self.memo: dict[int, Any] = {}
        self._stream = stream

    def load(self) -> Any:
        """The object of the next pickle, with tensors as `TensorInfo`.

        Raises:
            CheckpointError: it refers to code ("holds code (global 'os.system')") or is too long.
            Exception: errors of many types if the pickle is damaged.
        """
        self.stack, self.below, self.memo = [], [], {}
        for number, (opcode, argument, _) in enumerate(pickletools.genops(self._stream)):
            if number == MAX_INSTRUCTIONS:
                raise CheckpointError(
                    f"takes more than {MAX_INSTRUCTIONS:,} instructions to describe, which no "
                    "weights do; save model.state_dict() alone"
                )
            if opcode.name in _LITERALS:
                self.stack.append(argument)
            elif opcode.name not in _SILENT:
                _STEPS[opcode.name](self, argument)
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items


def _push(make: Callable[[], Any]) -> Callable[[PickleScan, Any], None]:
    return lambda scan, _: scan.stack.append(make())


def _push_tuple(size: int) -> Callable[[PickleScan, Any], None]:
    def step(scan: PickleScan, _: Any) -> None:
        scan.stack[-size:] = [tuple(scan.stack[-size:])]

    return step


def _push_marked(make: Callable[[list[Any]], Any]) -> Callable[[PickleScan, Any], None]:
    def step(scan: PickleScan, _: Any) -> None:
        items = scan.pop_to_mark()
        scan.stack.append(make(items))

    return step


def _mark(scan: PickleScan, _: Any) -> None:
    scan.below.append(scan.stack)
    scan.stack = []


def _append(scan: PickleScan, _: Any) -> None:
    item = scan.stack.pop()
    _put_into(scan.stack[-1], [item])


def _extend(scan: PickleScan, _: Any) -> None:
    items = scan.pop_to_mark()
    _put_into(scan.stack[-1], items)


def _put_into(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)


def _set_item(scan: PickleScan, _: Any) -> None:
    value, key = scan.stack.pop(), scan.stack.pop()
    scan.stack[-1].update(pairs_of([key, value]))


def _set_items(scan: PickleScan, _: Any) -> None:
    items = scan.pop_to_mark()
    scan.stack[-1].update(pairs_of(items))


def _put(scan: PickleScan, number: int | None) -> None:
    scan.memo[len(scan.memo) if number is None else number] = scan.stack[-1]


def _get(scan: PickleScan, number: int) -> None:
    scan.stack.append(scan.memo[number])


def _global(scan: PickleScan, module_and_name: str) -> None:
    name = module_and_name.replace(" ", ".", 1)
    if not (name in CALLS or name in STORAGES or name in TYPES or is_harmless(name)):
        raise CheckpointError(
            f"holds code (global {name[:_MAX_NAME]!r}), not only tensors; "
            "save model.state_dict() alone"
        )
    scan.stack.append(Global(name))


def _global_of_stack(scan: PickleScan, _: Any) -> None:
    name, module = scan.stack.pop(), scan.stack.pop()
    check(type(name) is str and type(module) is str)
    _global(scan, f"{module} {name}")


def _object_of_mark(scan: PickleScan, module_and_name: str | None) -> None:
    items = scan.pop_to_mark()
    if module_and_name is not None:
        _global(scan, module_and_name)
        items.insert(0, scan.stack.pop())
    scan.stack.append(_call_stand_in(items[0], items[1:]))


def _call(scan: PickleScan, _: Any) -> None:
    arguments, function = scan.stack.pop(), scan.stack.pop()
    scan.stack.append(_call_stand_in(function, arguments))


def _call_with_names(scan: PickleScan, _: Any) -> None:
    scan.stack.pop()
    _call(scan, None)


def _call_stand_in(function: Global, arguments: Any) -> Any:
    make: Callable[..., Any] = CALLS.get(function.name, new_dict)
    return make(*arguments[:_MAX_ARGUMENTS])


def _set_state(scan: PickleScan, _: Any) -> None:
    scan.stack.pop()


def _storage(scan: PickleScan, _: Any) -> None:
    word, kind, key, _, count, *view = scan.stack.pop()
    check(word == "storage" and type(key) is str and type(count) is int)
    check(0 <= count <= MAX_VALUES and len(view) <= 1)
    if view and view[0] is not None:
        raise CheckpointError(
            "holds views of storages, as torch before 0.4 wrote them; load and save it again with "
            "a newer one"
        )
    dtype, size = STORAGES[kind.name]
    stored = scan.storages.setdefault(key, Storage(key, dtype, size * count, count))
    check(stored.dtype == dtype and stored.count == count)
    scan.stack.append(stored)


_SILENT = frozenset({"PROTO", "FRAME", "STOP"})
_LITERALS = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "NONE", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
        "BYTEARRAY8",
    }
)  # fmt: skip
_STEPS: dict[str, Callable[[PickleScan, Any], None]] = {
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "MARK": _mark,
    "EMPTY_TUPLE": _push(tuple),
    "EMPTY_LIST": _push(list),
    "EMPTY_SET": _push(list),
    "EMPTY_DICT": _push(dict),
    "TUPLE": _push_marked(tuple),
    "TUPLE1": _push_tuple(1),
    "TUPLE2": _push_tuple(2),
    "TUPLE3": _push_tuple(3),
    "LIST": _push_marked(list),
    "FROZENSET": _push_marked(list),
    "DICT": _push_marked(pairs_of),
    "APPEND": _append,
    "APPENDS": _extend,
    "ADDITEMS": _extend,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _global_of_stack,
    "INST": _object_of_mark,
    "OBJ": _object_of_mark,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "NEWOBJ_EX": _call_with_names,
    "BUILD": _set_state,
    "BINPERSID": _storage,
}

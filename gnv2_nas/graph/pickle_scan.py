"""What a pickle says, read without running it: the table of contents of a torch checkpoint.

A pickle is a program for a small stack machine, and some of its instructions call any function
of any module. Here the program runs on stand-ins: a global is only its name, and a call is one
of the few that rebuild tensors, whose shape is noted, or it is refused. Needs no torch.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import IO, Any

import msgspec

from gnv2_nas.errors import CheckpointError


class TensorInfo(msgspec.Struct, frozen=True):
    """What a file says of one tensor before its values are read."""

    dtype: str
    """As torch names it: "float32", "int64" …"""
    shape: tuple[int, ...]


class Storage(msgspec.Struct, frozen=True):
    """A stretch of numbers that tensors are views of."""

    dtype: str
    size: int
    """Bytes."""


class Global(msgspec.Struct, frozen=True):
    """The name of a global, "module.name"; never looked up."""

    name: str


_STORAGES = {
    "torch.DoubleStorage": ("float64", 8),
    "torch.FloatStorage": ("float32", 4),
    "torch.HalfStorage": ("float16", 2),
    "torch.BFloat16Storage": ("bfloat16", 2),
    "torch.LongStorage": ("int64", 8),
    "torch.IntStorage": ("int32", 4),
    "torch.ShortStorage": ("int16", 2),
    "torch.CharStorage": ("int8", 1),
    "torch.ByteStorage": ("uint8", 1),
    "torch.BoolStorage": ("bool", 1),
}


def _tensor(storage: Storage, _offset: int, shape: tuple[int, ...], *_: Any) -> TensorInfo:
    return TensorInfo(storage.dtype, tuple(map(int, shape)))


def _first(value: Any, *_: Any) -> Any:
    return value


def _of_type(rebuild: Global, _type: Global, arguments: tuple[Any, ...], *_: Any) -> Any:
    return _CALLS[rebuild.name](*arguments)


# Every call that a file of tensors needs. torch's own weights-only loader allows the same ones;
# argparse.Namespace, a bag of values that training scripts like to add, is read past.
_CALLS: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": lambda *_: None,
    "collections.OrderedDict": dict,
    "torch.Size": tuple,
    "torch.device": lambda *_: None,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
}
_ALLOWED = frozenset({*_CALLS, *_STORAGES, "torch.Tensor", "torch.nn.parameter.Parameter"})
_MARK = object()
_KEY_TYPES = (str, bytes, int, float, type(None))


class PickleScan:
    """Reads the pickles of one stream, one a `load`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.storages: dict[str, Storage] = {}
        """Every storage named so far, by its key."""
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._stream = stream

    def load(self) -> Any:
        """The object of the next pickle, tensors as `TensorInfo`.

        Raises:
            CheckpointError: it names code; "holds code (global 'os.system')".
            Exception: of many types, when the pickle is damaged or is none.
        """
        self.stack, self.memo = [], {}
        for opcode, argument, _ in pickletools.genops(self._stream):
            if opcode.name in _LITERALS:
                self.stack.append(argument)
            elif opcode.name not in _SILENT:
                _STEPS[opcode.name](self, argument)
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items


def _push(make: Callable[[], Any]) -> Callable[[PickleScan, Any], None]:
    return lambda scan, _: scan.stack.append(make())


def _push_tuple(size: int) -> Callable[[PickleScan, Any], None]:
    def step(scan: PickleScan, _: Any) -> None:
        scan.stack[-size:] = [tuple(scan.stack[-size:])]

    return step


def _push_marked(make: Callable[[list[Any]], Any]) -> Callable[[PickleScan, Any], None]:
    return lambda scan, _: scan.stack.append(make(scan.pop_to_mark()))


def _append(scan: PickleScan, _: Any) -> None:
    item = scan.stack.pop()
    scan.stack[-1].append(item)


def _extend(scan: PickleScan, _: Any) -> None:
    items = scan.pop_to_mark()
    scan.stack[-1].extend(items)


def _set_item(scan: PickleScan, _: Any) -> None:
    value, key = scan.stack.pop(), scan.stack.pop()
    scan.stack[-1].update(_pairs([key, value]))


def _set_items(scan: PickleScan, _: Any) -> None:
    items = scan.pop_to_mark()
    scan.stack[-1].update(_pairs(items))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    # Hashing nested tuples can take time exponential in the length of the file.
    if not all(isinstance(key, _KEY_TYPES) for key in items[::2]):
        raise TypeError("a key is neither text nor a number")
    return dict(zip(items[::2], items[1::2], strict=True))


def _put(scan: PickleScan, number: int | None) -> None:
    scan.memo[len(scan.memo) if number is None else number] = scan.stack[-1]


def _get(scan: PickleScan, number: int) -> None:
    scan.stack.append(scan.memo[number])


def _global(scan: PickleScan, module_and_name: str) -> None:
    name = module_and_name.replace(" ", ".", 1)
    if name not in _ALLOWED:
        raise CheckpointError(f"holds code (global {name!r})")
    scan.stack.append(Global(name))


def _global_of_stack(scan: PickleScan, _: Any) -> None:
    name, module = scan.stack.pop(), scan.stack.pop()
    _global(scan, f"{module} {name}")


def _global_of_mark(scan: PickleScan, module_and_name: str) -> None:
    _global(scan, module_and_name)
    raise TypeError("no file of tensors makes objects this way")


def _call(scan: PickleScan, _: Any) -> None:
    arguments, function = scan.stack.pop(), scan.stack.pop()
    scan.stack.append(_CALLS[function.name](*arguments))


def _set_state(scan: PickleScan, _: Any) -> None:
    scan.stack.pop()


def _storage(scan: PickleScan, _: Any) -> None:
    _, kind, key, _, count = scan.stack.pop()[:5]
    dtype, size = _STORAGES[kind.name]
    scan.storages[key] = Storage(dtype, size * int(count))
    scan.stack.append(scan.storages[key])


_SILENT = frozenset({"PROTO", "FRAME", "STOP"})
_LITERALS = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "NONE", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    }
)  # fmt: skip
_STEPS: dict[str, Callable[[PickleScan, Any], None]] = {
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "MARK": _push(lambda: _MARK),
    "EMPTY_TUPLE": _push(tuple),
    "EMPTY_LIST": _push(list),
    "EMPTY_SET": _push(list),
    "EMPTY_DICT": _push(dict),
    "TUPLE": _push_marked(tuple),
    "TUPLE1": _push_tuple(1),
    "TUPLE2": _push_tuple(2),
    "TUPLE3": _push_tuple(3),
    "LIST": _push_marked(list),
    "DICT": _push_marked(_pairs),
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
    "INST": _global_of_mark,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "BUILD": _set_state,
    "BINPERSID": _storage,
}

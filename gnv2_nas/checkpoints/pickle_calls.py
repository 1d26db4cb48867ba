"""The calls that a checkpoint's pickle may contain.

Calls that rebuild tensors return a `TensorInfo`. `is_harmless` lists types without code that
training scripts save beside weights; their values are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gnv2_nas.graph.compatibility import Storage, TensorInfo

_MODULES = {
    "argparse": "Namespace",
    "builtins": "bool bytearray bytes complex dict float frozenset int list long object range set "
    "slice str tuple unicode xrange",
    "_codecs": "encode",
    "collections": "Counter OrderedDict defaultdict deque",
    "copyreg": "_reconstructor",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "easydict": "EasyDict",
    "fractions": "Fraction",
    "ml_collections.config_dict.config_dict": "ConfigDict FrozenConfigDict",
    "numpy": "bool bool_ complex64 complex128 dtype float16 float32 float64 int8 int16 int32 int64 "
    "ndarray str_ uint8 uint16 uint32 uint64",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy._core.numeric": "_frombuffer",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "numpy.random._philox": "Philox",
    "numpy.random._sfc64": "SFC64",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "omegaconf.base": "ContainerMetadata Metadata",
    "omegaconf.dictconfig": "DictConfig",
    "omegaconf.listconfig": "ListConfig",
    "omegaconf.nodes": "AnyNode BooleanNode BytesNode EnumNode FloatNode IntegerNode "
    "InterpolationResultNode PathNode StringNode ValueNode",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "torch": "Size bfloat16 bool channels_last complex64 complex128 complex32 contiguous_format "
    "device dtype float16 float32 float64 int8 int16 int32 int64 preserve_format uint8 uint16 "
    "uint32 uint64 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz",
    "torch._utils": "_rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage "
    "_rebuild_qtensor _rebuild_sparse_tensor",
    "torch.serialization": "_get_layout",
    "types": "SimpleNamespace",
    "typing": "Any Dict List Optional Tuple Union",
    "uuid": "SafeUUID UUID",
    "yacs.config": "CfgNode",
    "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
}
_ALIASES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "pathlib._local": "pathlib",
    "lightning.fabric.utilities.data": "_lightning",
    "lightning_fabric.utilities.data": "_lightning",
    "pytorch_lightning.utilities.parsing": "_lightning",
    "lightning.pytorch.utilities.parsing": "_lightning",
}
_TYPES_OF_ARRAYS = "numpy.dtypes."
_NAMES = {module: frozenset(names.split()) for module, names in _MODULES.items()}


def is_harmless(name: str) -> bool:
    """Whether a global, "module.name", is listed."""
    module, _, last = name.rpartition(".")
    if name == "zoneinfo.ZoneInfo._unpickle":
        return True
    if _ALIASES.get(module) == "_lightning":
        return last == "AttributeDict"
    if name.startswith(_TYPES_OF_ARRAYS):
        return last.endswith("DType") and name.count(".") == 2
    return last in _NAMES.get(_ALIASES.get(module, module), ())


MAX_VALUES = 1 << 48
"""Largest number of elements of a tensor or storage."""
_MAX_DIMENSIONS = 64


class Global(msgspec.Struct, frozen=True):
    """The name of a global, "module.name". It is never imported."""

    name: str


STORAGES = {
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
    "torch.ComplexFloatStorage": ("complex64", 8),
    "torch.ComplexDoubleStorage": ("complex128", 16),
    "torch.UntypedStorage": ("uint8", 1),
    "torch.storage.UntypedStorage": ("uint8", 1),
}


def _tensor(storage: Storage, offset: int, shape: Any, stride: Any, *_: Any) -> TensorInfo:
    shape, stride = _whole(shape), _whole(stride)
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    check(offset >= 0 and (last < storage.count or 0 in shape))
    return TensorInfo(storage.dtype, shape, storage, offset, stride)


def _tensor_of_type(
    _storage: Storage, _offset: int, shape: Any, _stride: Any, _grad: Any, _hooks: Any,
    dtype: Global, *_: Any,
) -> TensorInfo:  # fmt: skip
    """A tensor of a type without a storage class, such as float8. Its values are never read."""
    return TensorInfo(dtype.name.removeprefix("torch."), _whole(shape))


def _whole(sides: Any) -> tuple[int, ...]:
    check(len(sides) <= _MAX_DIMENSIONS and all(type(side) is int and side >= 0 for side in sides))
    check(all(side <= MAX_VALUES for side in sides))
    return tuple(sides)


def check(right: bool) -> None:
    """Raise ValueError unless `right`: the file is damaged or malicious."""
    if not right:
        raise ValueError("no tensor is like this")


def _first(value: Any, *_: Any) -> Any:
    return value


def _of_type(rebuild: Global, _type: Global, arguments: tuple[Any, ...], *_: Any) -> Any:
    check(rebuild.name != "torch._tensor._rebuild_from_type_v2")
    make: Callable[..., Any] = CALLS.get(rebuild.name, new_dict)
    return make(*arguments)


def new_dict(*_: Any) -> dict[Any, Any]:
    """Stand-in for a harmless value; what the pickle puts into it is ignored."""
    return {}


def _ordered_dict(pairs: Any = (), *_: Any) -> dict[Any, Any]:
    """An OrderedDict; Python 2 passed its pairs as an argument."""
    if not pairs:
        return {}
    check(all(len(pair) == 2 for pair in pairs))
    made = pairs_of([part for pair in pairs for part in pair])
    # A file could use one list many times; emptying it bounds the work.
    pairs.clear()
    return made


# All calls that a file of tensors needs.
CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _first,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
}
TYPES = frozenset({"torch.Tensor", "torch.nn.parameter.Parameter"})


def pairs_of(items: list[Any]) -> dict[Any, Any]:
    """The dict of alternating keys and values."""
    # Hashing nested tuples can take exponential time, and numbers can be chosen to collide. So a
    # key that is not text is replaced by an object that equals nothing.
    keys = (key if type(key) is str else object() for key in items[::2])
    return dict(zip(keys, items[1::2], strict=True))

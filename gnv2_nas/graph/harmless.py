"""Names of what training scripts put beside weights: values without code, read past by name alone.

A pickle may name these; none is imported or called. Whatever is not listed counts as code.
"""

from __future__ import annotations

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

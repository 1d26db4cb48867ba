"""Checkpoints of at most 100 kB that try to cost time or memory: name → content."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import Any

LARGEST = 100_000
"""Bytes of a file."""
_LEGACY = (
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00X\x0d\x00\x00\x00"
    b"little_endianq\x01\x88s."
)
"""Magic number, protocol and system of torch's older format."""


def packed(pickle: bytes, **entries: bytes) -> bytes:
    """A file in torch's zip format, its index compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("a/data.pkl", pickle)
        archive.writestr("a/version", b"3\n")
        for name, data in entries.items():
            archive.writestr(f"a/data/{name}", data)
    return buffer.getvalue()


def legacy(pickle: bytes, keys: bytes = b"\x80\x02].") -> bytes:
    return _LEGACY + pickle + keys


def storage(count: int, key: bytes = b"0", kind: bytes = b"FloatStorage") -> bytes:
    """Instructions that push a storage of so many numbers."""
    return (
        b"(U\x07storagectorch\n" + kind + b"\nU" + bytes([len(key)]) + key + b"U\x03cpu"
        + integer(count) + b"tQ"
    )  # fmt: skip


def integer(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(data)) + data


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def tensor(stored: bytes, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + integer(offset) + numbers(shape)
        + numbers(stride) + b"\x89}tR"
    )  # fmt: skip


def named(value: bytes, key: bytes = b"w") -> bytes:
    """A pickle of a dict with one entry."""
    return b"\x80\x02}U" + bytes([len(key)]) + key + value + b"s."


def header(text: bytes, values: int = 0) -> bytes:
    return struct.pack("<Q", len(text)) + text + bytes(values)


def entry(**changes: Any) -> bytes:
    return json.dumps(
        {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changes}}
    ).encode()


def _pickles() -> dict[str, bytes]:
    number = 4_000_000
    collisions = b"".join(integer(i * (2**61 - 1)) + b"N" for i in range(1, 7_000))
    twins = b")" + b"".join(b"q%c2h%c\x86" % (i, i) for i in range(60))
    long_list = b"](" + b"K\x01" * 10_000 + b"eq\x00"
    return {
        "itself": b"\x80\x02}q\x00U\x05modelh\x00s.",
        "itself, two steps away": b"\x80\x02}q\x00U\x0astate_dict}q\x01U\x05modelh\x00ss.",
        "a list of itself": b"\x80\x02]q\x00h\x00a.",
        "its own key": b"\x80\x02}q\x00h\x00Ns.",
        "its own state": b"\x80\x02ccollections\nOrderedDict\n)Rq\x00h\x00b.",
        "sizes of one list": b"\x80\x02" + long_list
        + (b"ctorch\nSize\nq\x01" + b"h\x01h\x00\x85R" * 100_000) + b".",
        "dicts of one list": b"\x80\x02](U\x01aN\x86" + b"U\x01bN\x86" * 5_000 + b"eq\x00"
        + b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R" * 100_000 + b".",
        "empty lists": b"\x80\x02(" + b"]" * number + b"l.",
        "empty dicts": b"\x80\x02(" + b"}" * (number // 2) + b"l.",
        "pairs of one list": b"\x80\x02" + long_list + b"](" + b"h\x00" * 100_000
        + b"eq\x02ccollections\nOrderedDict\nh\x02\x85R.",
        "marks": b"\x80\x02" + b"(" * number + b".",
        "marks on a full stack": b"\x80\x02" + b"N" * 500_000 + b"(t" * 500_000 + b".",
        "memo": b"\x80\x04N" + b"\x94" * number + b".",
        "deep nesting": b"\x80\x02" + b"](" * 400_000 + b"e" * 400_000 + b".",
        "deep tuples": b"\x80\x02N" + b"\x85" * 1_200_000 + b".",
        "deep dicts": b"\x80\x02" + b"}U\x05model" * 300_000 + b"N" + b"s" * 300_000 + b".",
        "keys of twins": b"\x80\x02}" + twins + b"Ns.",
        "numbers that collide": b"\x80\x02}(" + collisions + b"u.",
        "a long integer": b"\x80\x02" + integer(1 << 100_000_000) + b".",
        "a long decimal": b"\x80\x02L" + b"9" * 4_000_000 + b"L\n.",
        "a promised integer": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "a promised text": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b".",
        "promised bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**36) + b".",
        "a promised frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"}.",
        "a promised bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**36) + b".",
        "a far memo number": b"\x80\x02]r\xff\xff\xff\x7f.",
        "a long text": b"\x80\x02X" + struct.pack("<I", 33_000_000) + b"a" * 33_000_000 + b".",
        "a long key": named(b"N").replace(b"U\x01w", b"X" + struct.pack("<I", 10_000_000)
        + b"." * 10_000_000),
        "a long name": b"\x80\x02c" + b"a" * 10_000_000 + b"\nb\n.",
        "an escaped text": b"\x80\x02V" + b"\\u0041" * 1_000_000 + b"\n.",
        "a key that is no text": b"\x80\x02((U\x07storageK\x01K\x02K\x03K\x04tQt.",
        "an identity of an odd type": b"\x80\x02K\x01Q.",
        "an identity of nothing": b"\x80\x02)Q.",
        "nothing on the stack": b"\x80\x02R.",
        "a call of a number": b"\x80\x02K\x01)R.",
        "a dict without an end": b"\x80\x02}(U\x01w",
        "an endless exponent": b"\x80\x02F" + b"1e" + b"9" * 1_000_000 + b"\n.",
        "many small dicts of tensors": b"\x80\x02}("
        + b"".join(
            b"U\x06%06d}U\x11conv_stem.weight_ctorch\nSize\ns" % i for i in range(7_000)
        ) + b"u.",
    }  # fmt: skip


def _tensors() -> dict[str, bytes]:
    two = storage(2)
    return {
        "a storage of 10 GB": named(tensor(storage(2_500_000_000), 0, (2,), (1,))),
        "a tensor of 10 GB": named(tensor(two, 0, (50_000, 50_000), (50_000, 1))),
        "strides of nothing": named(tensor(two, 0, (10**9, 10**9), (0, 0))),
        "a far offset": named(tensor(two, 2**62, (2,), (1,))),
        "an offset before the start": named(tensor(two, -5, (2,), (1,))),
        "strides backwards": named(tensor(two, 0, (2,), (-1,))),
        "a negative side": named(tensor(two, 0, (-2, -2), (1, 1))),
        "a side of many digits": named(tensor(two, 0, (10**5000,), (1,))),
        "a storage of many digits": named(tensor(storage(10**5000), 0, (2,), (1,))),
        "a negative storage": named(tensor(storage(-(10**9)), 0, (2,), (1,))),
        "ten thousand sides": named(tensor(two, 0, (1,) * 10_000, (1,) * 10_000)),
    }


def _safetensors() -> dict[str, bytes]:
    overlap = {name: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for name in ("a", "b")}
    return {
        "promised header": struct.pack("<Q", 2**62) + b"{" + bytes(1000),
        "promised values": header(entry(shape=[2**31, 2**31], data_offsets=[0, 2**64])),
        "deep header": header(b'{"w":' + b"[" * 90_000),
        "deep metadata": header(b'{"__metadata__":' + b'{"a":' * 15_000),
        "many digits": header(b'{"w":{"dtype":"F32","shape":[' + b"9" * 90_000 + b"]}}"),
        "many sides": header(entry(shape=[9**300] * 300)),
        "zero sides": header(entry(shape=[2**40] * 9_000 + [0])),
        "negative sides": header(entry(shape=[-2, -2]), 16),
        "negative offsets": header(entry(data_offsets=[-16, 0])),
        "overlap": header(json.dumps(overlap).encode(), 16),
        "the same name twice": header(
            entry()[:-1] + b"," + entry(shape=[1], data_offsets=[0, 4])[1:], 16
        ),
        "a shape of text": header(entry(shape="22")),
        "an unknown type": header(entry(dtype="F" * 50_000)),
        "many tensors": header(
            json.dumps(
                {
                    f"{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
                    for i in range(1400)
                }
            ).encode()
        ),
    }


def hostile_checkpoints() -> dict[str, bytes]:
    """Every case that fits into `LARGEST` bytes, in each format that can hold it."""
    files = _safetensors()
    for name, content in _pickles().items():
        files[f"{name}, zip"] = packed(content)
        files[f"{name}, legacy"] = legacy(content)
    for name, content in _tensors().items():
        files[f"{name}, zip"] = packed(content, **{"0": bytes(8)})
        files[f"{name}, legacy"] = legacy(content, b"\x80\x02]U\x010a.") + bytes(16)
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("b/data.pkl", b"\x80\x02}.")
    files["two indexes"] = twice.getvalue()
    two = named(tensor(storage(2), 0, (2,), (1,)))
    for number, keys in enumerate((b"]K\x00a", b"]]a", b"](U\x010U\x010e", b"}", b"N", b"U\x010")):
        files[f"odd keys {number}"] = legacy(two, b"\x80\x02" + keys + b".") + bytes(16)
    bomb = packed(named(tensor(storage(21_000_000), 0, (5_000, 5_000), (5_000, 1))))
    files["a bomb of values"] = bomb
    return {name: data for name, data in files.items() if len(data) <= LARGEST}

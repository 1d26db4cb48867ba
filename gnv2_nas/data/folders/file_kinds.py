"""Kinds of files that are not read as images, and advice to their owner.

A kind is recognised by the name, without opening the file, or by the first bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Suffixes of image files, in lower case."""
NO_SUFFIX = "no suffix"
NO_FILE = "link to nothing"
"""Used in place of a suffix."""
_SHOWN = 5
"""Maximum number of suffixes named in a line."""


class FileKind(NamedTuple):
    """A kind of file that may contain pictures and is not read."""

    name: str
    advice: str
    """Advice to the owner; it follows a semicolon."""


_CONVERT = "convert them to .jpg or .png"


def _convertible(name: str, tool: str) -> FileKind:
    return FileKind(name, f"{_CONVERT}, for example with {tool}")


_HEIC = _convertible("HEIC", "heif-convert of libheif")
_AVIF = _convertible("AVIF", "avifdec of libavif")
_JPEG_XL = _convertible("JPEG XL", "djxl of libjxl")
_JPEG_2000 = _convertible("JPEG 2000", "opj_decompress of OpenJPEG")
_RAW = FileKind("camera raw", "develop them into .jpg or .png, for example with darktable-cli")
_LAYERED = _convertible("layered images", "ImageMagick")
_DRAWING = FileKind("drawings", "draw them as .png, for example with Inkscape")
_DOCUMENT = FileKind("documents", "draw their pages as .png, for example with pdftoppm of Poppler")
_VIDEO = FileKind("video", "save frames of them as .jpg or .png, for example with ffmpeg")
_MEDICAL = FileKind("medical images", "save their slices as .png, 8 or 16 bits over the full range")
_ARRAYS = FileKind("arrays", "save each image in them as a .png of its own")
_ARCHIVE = FileKind("archives", "unpack them")
_HIGH_RANGE = FileKind("high dynamic range", "map them to .png of 8 bits")
_OTHER_IMAGE = _convertible("images of another format", "ImageMagick")
_PART = FileKind("unfinished downloads", "download them again")

_OF_SUFFIX: dict[str, FileKind] = {
    suffix: kind
    for kind, suffixes in (
        (_HEIC, ".heic .heics .heif .heifs .hif"),
        (_AVIF, ".avif .avifs"),
        (_JPEG_XL, ".jxl"),
        (_JPEG_2000, ".j2c .j2k .jp2 .jpc .jpf .jpx"),
        (
            _RAW,
            ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf "
            ".pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f",
        ),
        (_LAYERED, ".kra .psb .psd .xcf"),
        (_DRAWING, ".ai .cdr .emf .eps .ps .svg .svgz .wmf"),
        (_DOCUMENT, ".djvu .doc .docx .pdf .ppt .pptx .xps"),
        (_VIDEO, ".3gp .avi .flv .gifv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .webm .wmv"),
        (_MEDICAL, ".dcm .dicom .mha .mhd .mrc .nii .nrrd .svs .ndpi .czi .lif .nd2"),
        (_ARRAYS, ".arrow .h5 .hdf5 .lmdb .mat .npy .npz .parquet .pkl .pickle .pt .tfrecord"),
        (_ARCHIVE, ".7z .bz2 .gz .rar .tar .tgz .xz .zip .zst"),
        (_HIGH_RANGE, ".exr .hdr .pfm"),
        (_OTHER_IMAGE, ".apng .bpg .cur .dds .dib .icns .ico .jng .mng .mpo .pam .pcx .qoi .ras "
                       ".sgi .tga .xbm .xpm"),
        (_PART, ".crdownload .download .part .partial"),
    )
    for suffix in suffixes.split()
}  # fmt: skip

_NAMELESS = FileKind("files without a suffix", "give those that are images the suffix of theirs")
_MISNAMED = FileKind("names with more text after the suffix", "rename those that are images")
_NO_FILES = FileKind("links to nothing, pipes or sockets", "repair or remove them")

_OF_CONTENT: tuple[tuple[int, bytes, FileKind], ...] = (
    *((4, b"ftyp" + brand, _HEIC) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    (4, b"ftypavi", _AVIF),
    (4, b"ftypcrx", _RAW),
    (4, b"ftyp", _VIDEO),
    (4, b"JXL ", _JPEG_XL),
    (0, b"\xff\x0a", _JPEG_XL),
    (4, b"jP  ", _JPEG_2000),
    (0, b"\xff\x4f\xff\x51", _JPEG_2000),
    (0, b"8BPS", _LAYERED),
    (0, b"gimp xcf", _LAYERED),
    (0, b"%PDF", _DOCUMENT),
    (0, b"<svg", _DRAWING),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (8, b"AVI ", _VIDEO),
    (128, b"DICM", _MEDICAL),
    (0, b"\x93NUMPY", _ARRAYS),
    (0, b"\x89HDF", _ARRAYS),
    (0, b"PK\x03\x04", _ARCHIVE),
    (0, b"\x1f\x8b", _ARCHIVE),
    (0, b"\x76\x2f\x31\x01", _HIGH_RANGE),
    (0, b"#?RADIANCE", _HIGH_RANGE),
    (0, b"\x00\x00\x01\x00", _OTHER_IMAGE),
    (
        0,
        b"version https://git-lfs",
        FileKind("pointers of Git LFS", "fetch the images with git lfs pull"),
    ),
    *(
        (0, start, FileKind("web pages", "download the images again"))
        for start in (b"<!doctype", b"<html", b"<!DOCTYPE", b"<HTML")
    ),
)
"""Offset, bytes at the offset, kind; the first match counts."""


def identify_suffix(suffix: str) -> FileKind | None:
    """Identify a suffix that is not in `SUFFIXES`; None for files without pictures, as notes.

    Args:
        suffix: in lower case with its dot, or `NO_SUFFIX` or `NO_FILE`.
    """
    if suffix == NO_SUFFIX:
        return _NAMELESS
    if suffix == NO_FILE:
        return _NO_FILES
    if suffix not in _OF_SUFFIX and suffix.startswith(SUFFIXES):
        return _MISNAMED  # ".jpg~", ".jpg_large", ".png?size=small"
    return _OF_SUFFIX.get(suffix)


def describe_other_files(counts: Iterable[Counter[str]]) -> str:
    """Describe files whose names are not those of images, with advice.

    Args:
        counts: suffix → number of files, one counter for each folder.

    Returns:
        Text in parentheses after a space; "" if there are no such files.
    """
    total = sum(counts, Counter[str]())
    if not total:
        return ""
    shown = total.most_common(_SHOWN)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in shown)
    advice = {kind.advice: None for suffix, _ in shown if (kind := identify_suffix(suffix))}
    return f" (other files: {kinds}{''.join(f'; {each}' for each in advice)})"


def identify_content(content: bytes) -> FileKind | None:
    """Identify a file that no decoder can read, by its first bytes; None if that fails."""
    start = content[:256]
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    for place, mark, kind in _OF_CONTENT:
        if start[place : place + len(mark)] == mark or (place == 0 and text.startswith(mark)):
            return kind
    if text.startswith(b"<?xml") and b"<svg" in content[:4096]:
        return _DRAWING
    return None

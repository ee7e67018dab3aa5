"""Kinds of TIFF that Pillow reads wrongly without a word, or not at all: known by their tags, and said.

Which kinds are read rightly was measured against tifffile: `tools/sweep_pictures.py`.
"""

import math
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import TiffImagePlugin

from binorm.experiments.common.picture_content import RAW, unread

SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, STRIP_ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
COLOUR_MAP, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, SUB_IFDS, INK_SET = 320, 322, 323, 324, 325, 330, 332
SAMPLE_FORMAT, DNG_VERSION = 339, 50706
UNCOMPRESSED, JPEG = 1, 7
# Those of fax, LZW, JPEG, deflate, PackBits, LZMA and Zstandard; the older JPEG (6) is read in many ways.
COMPRESSIONS = {UNCOMPRESSED, 2, 3, 4, 5, JPEG, 8, 32771, 32773, 32946, 34925, 50000}
PALETTE, CMYK, YCBCR = 3, 5, 6
RAW_PHOTOMETRICS = {32803, 34892}  # a colour filter array, and what was made of one
PHOTOMETRICS = {4: "a mask", 8: "Lab colours", 9: "Lab colours", 10: "Lab colours", 32844: "LogL", 32845: "LogLuv"}
FORMATS = {2: "signed numbers", 3: "floating-point numbers", 4: "undefined numbers", 5: "complex numbers"}
WAY_OUT = "save it as a PNG, or as a TIFF of 8 bits a channel, first"

Tags = Mapping[int, Any]


def check_tags(tags: Tags, length: int) -> str:
    """Why the pixels of a TIFF that Pillow opens cannot be trusted, to go on behind its name; empty if they can.

    Args:
        tags: of the first picture.
        length: of the file in bytes.
    """
    if reason := _raw_photograph(tags):
        return reason
    bits, compression, photometric = _first(tags, BITS, 1), tags.get(COMPRESSION, 1), tags.get(PHOTOMETRIC)
    planes = tags.get(PLANAR, 1) == 2 and tags.get(SAMPLES, 1) > 1
    if reason := _strange_samples(tags):
        return reason
    if compression not in COMPRESSIONS:
        return f"has pixels compressed in the way {compression}, which are not read: {WAY_OUT}"
    if compression == UNCOMPRESSED and tags.get(PREDICTOR, 1) != 1:
        return f"has differences for pixels, though not compressed, which are not read: {WAY_OUT}"
    if photometric == YCBCR and (compression == UNCOMPRESSED or planes):
        return f"has YCbCr colours that are not compressed as JPEG, which are not read: {WAY_OUT}"
    if planes and bits != 8 and compression == UNCOMPRESSED:
        return f"has {bits} bits a channel in separate planes, which are not read: {WAY_OUT}"
    if (bits == 12 and compression != UNCOMPRESSED) or (bits != 8 and compression == JPEG):
        return f"has compressed samples of {bits} bits, which are not read: {WAY_OUT}"
    if photometric == CMYK and tags.get(INK_SET, 1) != 1:
        return f"has inks that are not cyan, magenta, yellow and black: {WAY_OUT}"
    if photometric == PALETTE and 0 < max(tags.get(COLOUR_MAP, (0,))) < 256:
        return f"has a palette of 8 bits, where a TIFF's has 16: {WAY_OUT}"
    return _missing_parts(tags, planes, length)


def why_unread(file: BinaryIO) -> str:
    """Why Pillow does not open a TIFF, to go on behind its name; empty if its tags are damaged too."""
    try:
        file.seek(0)
        header = file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        reason = _raw_photograph(tags) or _strange_samples(tags)
        if reason or not tags:
            return reason
        kind = PHOTOMETRICS.get(tags.get(PHOTOMETRIC, 1), "")
        bits, samples = _first(tags, BITS, 1), tags.get(SAMPLES, 1)
    except Exception:  # whatever damaged tags bring about
        return ""
    if kind:
        return f"is a TIFF with {kind}, which is not read: {WAY_OUT}"
    return (
        f"is a TIFF with {samples} channel{'s' * (samples != 1)} of {bits} bits in an arrangement that is not read "
        f"(photometric {tags.get(PHOTOMETRIC)}, compression {tags.get(COMPRESSION, 1)}): {WAY_OUT}"
    )


def _raw_photograph(tags: Tags) -> str:
    """A camera's raw file is a TIFF whose first picture is at most a preview."""
    preview = tags.get(SUBFILE, 0) & 1 and SUB_IFDS in tags
    if DNG_VERSION in tags or preview or tags.get(PHOTOMETRIC) in RAW_PHOTOMETRICS:
        return f"is {unread(RAW)}"
    return ""


def _strange_samples(tags: Tags) -> str:
    formats = tags.get(SAMPLE_FORMAT, (1,))
    strange = [FORMATS.get(each, f"samples of the kind {each}") for each in formats if each != 1]
    return f"has {strange[0]} for pixels, whose white nobody knows: {WAY_OUT}" if strange else ""


def _missing_parts(tags: Tags, planes: bool, file_length: int) -> str:
    """Strips or tiles that are not in the file would be black, or whatever lies at its beginning."""
    offsets = tags.get(TILE_OFFSETS, tags.get(STRIP_OFFSETS, ()))
    width, length = tags[WIDTH], tags[LENGTH]
    across, rows = (tags.get(TILE_WIDTH, width), tags.get(TILE_LENGTH, length)) if TILE_OFFSETS in tags else (width, 0)
    rows = rows or min(tags.get(STRIP_ROWS, length), length)
    expected = math.ceil(width / across) * math.ceil(length / rows) * (tags.get(SAMPLES, 1) if planes else 1)
    if len(offsets) < expected or 0 in offsets[:expected]:
        there = sum(offset != 0 for offset in offsets[:expected])
        return f"has {there} of the {expected} parts of its pixels: get it again, or save it anew"
    sizes = tags.get(TILE_BYTES, tags.get(STRIP_BYTES, ()))
    end = max((offset + size for offset, size in zip(offsets, sizes, strict=False)), default=0)
    if end > file_length and tags.get(COMPRESSION, 1) != UNCOMPRESSED:
        return f"ends after {file_length:,} bytes, its pixels at {end:,}: get it again"
    return ""


def _first(tags: Tags, tag: int, otherwise: int) -> int:
    value = tags.get(tag, otherwise)
    return int(value[0] if isinstance(value, tuple) else value)

"""PNG, TIFF, BMP and GIF made byte by byte, of kinds that no library here writes, with pixels that are known."""

import struct
import zlib

import numpy


def png(samples, bits, colour_type, chunks=()):
    """Of samples (H, W) or (H, W, C), each of ``bits`` bits; ``chunks`` are (name, content) before the pixels."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + packed(row.reshape(-1), bits) for row in samples)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )


def packed(samples, bits, order=">"):
    """Samples of one row, one behind the other, filled up to a whole byte."""
    if bits >= 8:
        return samples.astype(f"{order}u{bits // 8}").tobytes()
    places = numpy.arange(bits)[::-1]
    return numpy.packbits((samples[:, None] >> places & 1).astype(numpy.uint8)).tobytes()


def tiff(pixels, width, height, order="<", **tags):
    """A TIFF whose pixels are ``pixels``, the bytes of one strip; tags by their names below, a number or a list."""
    numbers = {
        "subfile": 254, "bits": 258, "compression": 259, "photometric": 262, "orientation": 274, "samples": 277,
        "planar": 284, "predictor": 317, "colours": 320, "sub_ifds": 330, "inks": 332, "extra": 338, "format": 339,
        "subsampling": 530, "dng": 50706, "offsets": 273, "sizes": 279, "rows": 278,
    }  # fmt: skip
    entries = {256: [width], 257: [height], 273: [8], 278: [height], 279: [len(pixels)]}
    entries |= {numbers[name]: value if isinstance(value, list) else [value] for name, value in tags.items()}
    at = 8 + len(pixels) + len(pixels) % 2
    table, behind = b"", b""
    for number, values in sorted(entries.items()):
        content = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            place = at + 2 + 12 * len(entries) + 4 + len(behind)
            behind, content = behind + content, struct.pack(f"{order}I", place)
        table += struct.pack(f"{order}HHI", number, 4, len(values)) + content
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, at)
    return start + pixels + bytes(len(pixels) % 2) + struct.pack(f"{order}H", len(entries)) + table + bytes(4) + behind


def bmp_of_runs(runs, width, height, bits=8):
    """A BMP of ``runs`` with a grey palette."""
    colours = 2**bits
    palette = b"".join(bytes([k * 255 // (colours - 1)] * 3 + [0]) for k in range(colours))
    offset = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, {8: 1, 4: 2}[bits], len(runs), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(runs), 0, 0, offset) + info + palette + runs


def gif(screen, frame, transparent=False):
    """A GIF with a screen of (width, height) and one frame of ones at (left, upper, width, height)."""
    header = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes([255, 0, 0, 0, 0, 255])
    control = b"!\xf9\x04\x01\0\0\0\0" if transparent else b""
    codes, count = [4, *[1, 4] * (frame[2] * frame[3]), 5], 0  # the table is cleared behind each pixel: 3 bits a code
    for place, code in enumerate(codes):
        count |= code << 3 * place
    data = count.to_bytes(len(codes) * 3 // 8 + 1, "little")
    blocks = b"".join(bytes([len(data[k : k + 255])]) + data[k : k + 255] for k in range(0, len(data), 255))
    return header + control + b"," + struct.pack("<HHHHB", *frame, 0) + b"\2" + blocks + b"\0;"

"""Files that a visitor may send by mistake or on purpose: broken, disguised, strange and oversized pictures."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

FINE, REFUSED = "fine", "refused"


def photograph(width: int = 64, height: int = 48, seed: int = 0) -> np.ndarray:
    """Smooth colours with some noise, (H, W, 3) bytes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    base = np.stack([x, y, (x + y) / 2], -1) * 200 + rng.uniform(0, 40, (height, width, 3))
    return base.astype(np.uint8)


def encoded(file_format: str, picture: Image.Image | None = None, **options: object) -> bytes:
    """A picture's file."""
    buffer = io.BytesIO()
    (picture or Image.fromarray(photograph())).save(buffer, file_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int, pixel_data: bytes = b"") -> bytes:
    """A PNG that says it is of this size, in 8-bit RGB, whatever follows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixel_data) + chunk(b"IEND", b"")


def _sixteen_bit() -> bytes:
    return encoded("PNG", Image.fromarray(photograph()[..., 0].astype(np.uint16) * 257))


def _animated() -> bytes:
    first, second = (Image.fromarray(photograph(seed=seed)) for seed in (0, 1))
    return encoded("GIF", first, save_all=True, append_images=[second])


# By what is wrong with it: the name that it comes under, its content, and whether the page can draw it.
CASES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a JPEG": ("a.jpg", lambda: encoded("JPEG"), FINE),
    "a PNG called .jpg": ("a.jpg", lambda: encoded("PNG"), FINE),
    "a picture called .html": ("a.html", lambda: encoded("PNG"), FINE),
    "CMYK": ("a.jpg", lambda: encoded("JPEG", Image.fromarray(photograph()).convert("CMYK")), FINE),
    "16 bits": ("a.png", _sixteen_bit, FINE),
    "animated": ("a.gif", _animated, FINE),
    "1 x 1": ("a.png", lambda: encoded("PNG", Image.new("RGB", (1, 1))), FINE),
    "transparent": ("a.png", lambda: encoded("PNG", Image.fromarray(photograph()).convert("RGBA")), FINE),
    "30,000 x 1": ("a.png", lambda: encoded("PNG", Image.new("RGB", (30_000, 1))), REFUSED),
    "empty": ("a.png", lambda: b"", REFUSED),
    "text": ("a.png", lambda: b"hello " * 50, REFUSED),
    "SVG": ("a.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', REFUSED),
    "HTML called .jpg": ("a.jpg", lambda: b"<!doctype html><script>alert(1)</script>", REFUSED),
    "half a JPEG": ("a.jpg", lambda: encoded("JPEG")[:400], REFUSED),
    "half a PNG": ("a.png", lambda: encoded("PNG")[:3000], REFUSED),
    "a GIF that is a script": ("a.gif", lambda: b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)", REFUSED),
    "a bomb by its header": ("a.png", lambda: png_header(60_000, 60_000), REFUSED),
    "a bomb by its content": ("a.png", lambda: encoded("PNG", Image.new("RGB", (6000, 6000))), REFUSED),
    "more pixels than it says": ("a.png", lambda: png_header(100, 100, zlib.compress(b"\0" * 20_000_000)), FINE),
}


def many(count: int) -> list[tuple[str, str, bytes]]:
    """So many files (what is wrong, name, content): the cases above, then pictures with bytes cut off or changed."""
    found = [(kind, name, make()) for kind, (name, make, _) in CASES.items()]
    rng = np.random.default_rng(0)
    whole = {each: encoded(each) for each in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")}
    while len(found) < count:
        file_format = list(whole)[len(found) % len(whole)]
        data = bytearray(whole[file_format])
        if len(found) % 2:
            del data[int(rng.integers(1, len(data))) :]
            found.append((f"a {file_format} that was cut", f"a.{file_format.lower()}", bytes(data)))
        else:
            for place in rng.integers(0, len(data), 20):
                data[place] = int(rng.integers(256))
            found.append((f"a {file_format} with wrong bytes", f"a.{file_format.lower()}", bytes(data)))
    return found[:count]

"""How video files begin, for those whose names say nothing."""

from pathlib import Path

_STARTS = (  # Matroska and WebM, FLV, MPEG program streams, Ogg, Windows Media
    b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"OggS", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
)  # fmt: skip
_BOXES = {b"moov", b"mdat", b"wide"}  # of QuickTime files that name no brand
_PICTURE_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis", b"crx "}
_PACKETS = ((0, 188), (4, 192))  # of transport streams: where the first one is marked, and the bytes of each


def begins_as_video(path: Path) -> bool:
    """Whether a file's first bytes are those of a video; False where they cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(400)
    except OSError:
        return False
    box, brand = start[4:8], start[8:12]
    return (
        start.startswith(_STARTS)
        or box in _BOXES
        or (box == b"ftyp" and brand not in _PICTURE_BRANDS)
        or (start[:4] == b"RIFF" and brand == b"AVI ")
        or any(start[at::length][:3] == b"GGG" for at, length in _PACKETS)
    )

"""What a file is that was taken for a video."""

_STARTS = (
    ((b"\x89PNG",), "a PNG picture"),
    ((b"\xff\xd8\xff",), "a JPEG picture"),
    ((b"BM",), "a BMP picture"),
    ((b"II*\0", b"MM\0*"), "a TIFF picture"),
    ((b"PK\x03\x04",), "a zip file: unpack it first"),
    ((b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b"), "an archive: unpack it first"),
    ((b"%PDF",), "a PDF document"),
    ((b"#EXTM3U", b"ffconcat", b"[playlist]", b"<?xml", b"<MPD"), "a list of files, and not the video itself"),
    ((b"ID3", b"\xff\xfb", b"fLaC"), "sound alone"),
)  # fmt: skip
_PICTURE_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif"}
_PAGE = (b"<!doctype", b"<html", b"<head", b"<body")


def what_it_is(start: bytes) -> str:
    """What a file with this beginning is, if it is known and no video: "an empty file", "a PNG picture", or nothing."""
    if not start:
        return "an empty file"
    if not start.strip(b"\0"):
        return "nothing but zeros, as of a download that was not finished"
    if start.startswith(b"YUV4MPEG2") or b"acTL" in start:  # frames behind a line of text, and animated PNG
        return ""
    for beginnings, kind in _STARTS:
        if start.startswith(beginnings):
            return kind
    if start[:4] == b"RIFF" and start[8:12] in (b"WEBP", b"WAVE"):
        return "a WebP picture" if start[8:12] == b"WEBP" else "sound alone"
    if start[4:8] == b"ftyp" and start[8:12] in _PICTURE_BRANDS:
        return "a HEIC or AVIF picture"
    if start.lstrip().lower().startswith(_PAGE):
        return "a page of the web: the link led to no video"
    return "a text" if _is_text(start) else ""


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode()
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # and not within the last character
            return False
        text = start[: error.start].decode()
    return all(each.isprintable() or each.isspace() for each in text)

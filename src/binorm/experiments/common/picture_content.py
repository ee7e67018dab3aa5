"""What a file's first bytes say that it is, where that is no picture that is read; and how to make one of it."""

from typing import NamedTuple

HEAD = 1024  # bytes that are enough to tell


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: with its article, such as "an AVIF picture".
        suffix: that files of it have.
        command: that makes a PNG of one; ``{}`` stands for its suffix.
    """

    name: str
    suffix: str
    command: str = "magick in{} in.png"


RAW = Kind("a raw photograph of a camera", ".dng", "darktable-cli in{} in.png")
_FRAMES = "ffmpeg -i in{} frame-%05d.png"
# Brands of ISO base media files, by the four bytes behind "ftyp"; the other ones are videos.
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), Kind("an AVIF picture", ".avif")),
    **dict.fromkeys(
        (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"),
        Kind("a HEIC picture", ".heic", "heif-convert in{} in.png"),
    ),
    b"crx ": RAW._replace(suffix=".cr3"),
    b"jp2 ": Kind("a JPEG 2000 picture", ".jp2"),
    b"jpx ": Kind("a JPEG 2000 picture", ".jpx"),
    b"qt  ": Kind("a video (QuickTime)", ".mov", _FRAMES),
}
_MP4 = Kind("a video (MP4)", ".mp4", _FRAMES)
_JXL = Kind("a JPEG XL picture", ".jxl", "djxl in{} in.png")
_BIG_TIFF = Kind("a BigTIFF", ".tif", "magick in{} in.png")
_BEGINNINGS = (
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JXL),
    (b"\xff\x0a", _JXL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _BRANDS[b"jp2 "]),
    (b"\xff\x4f\xff\x51", Kind("a JPEG 2000 picture", ".j2k")),
    (b"II\x2b\0", _BIG_TIFF),
    (b"MM\0\x2b", _BIG_TIFF),
    (b"IIRO", RAW._replace(suffix=".orf")),
    (b"IIRS", RAW._replace(suffix=".orf")),
    (b"MMOR", RAW._replace(suffix=".orf")),
    (b"IIU\0", RAW._replace(suffix=".rw2")),
    (b"FUJIFILMCCD-RAW", RAW._replace(suffix=".raf")),
    (b"FOVb", RAW._replace(suffix=".x3f")),
    (b"II\xbc", Kind("a JPEG XR picture", ".jxr", "JxrDecApp -i in{} -o in.bmp")),
    (b"8BPS", Kind("a Photoshop file", ".psd", "magick 'in{}[0]' in.png")),
    (b"gimp xcf", Kind("a GIMP file", ".xcf", "magick in{} -flatten in.png")),
    (b"%PDF", Kind("a PDF", ".pdf", "pdftoppm -png in{} in")),
    (b"%!PS", Kind("a PostScript file", ".eps")),
    (b"\xc5\xd0\xd3\xc6", Kind("a PostScript file", ".eps")),
    (b"\x76\x2f\x31\x01", Kind("an OpenEXR picture", ".exr")),
    (b"#?RADIANCE", Kind("a Radiance HDR picture", ".hdr")),
    (b"#?RGBE", Kind("a Radiance HDR picture", ".hdr")),
    (b"PF\n", Kind("a float map (PFM)", ".pfm")),
    (b"Pf\n", Kind("a float map (PFM)", ".pfm")),
    (b"P7\n", Kind("a PAM picture", ".pam")),
    (b"DDS ", Kind("a DirectDraw texture", ".dds")),
    (b"SIMPLE  =", Kind("a FITS picture", ".fits")),
    (b"\0\0\1\0", Kind("an icon", ".ico", "magick 'in{}[0]' in.png")),
    (b"icns", Kind("an icon", ".icns")),
    (b"\x8aMNG", Kind("an MNG animation", ".mng", _FRAMES)),
    (b"BPG\xfb", Kind("a BPG picture", ".bpg", "bpgdec -o in.png in{}")),
    (b"AT&TFORM", Kind("a DjVu file", ".djvu", "ddjvu -format=tiff in{} in.tif")),
    (b"\x1aE\xdf\xa3", Kind("a video (Matroska or WebM)", ".mkv", _FRAMES)),
    (b"FLV\1", Kind("a video (Flash)", ".flv", _FRAMES)),
    (b"\0\0\1\xba", Kind("a video (MPEG)", ".mpg", _FRAMES)),
    (b"\0\0\1\xb3", Kind("a video (MPEG)", ".mpg", _FRAMES)),
    (b"OggS", Kind("a video or sound (Ogg)", ".ogv", _FRAMES)),
    (b"0&\xb2u\x8ef\xcf\x11", Kind("a video (Windows Media)", ".wmv", _FRAMES)),
)
_TAKEN = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_OTHERS = (
    (b"PK\3\4", "a zip file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file"),
    (b"Rar!", "a RAR file"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, whose picture was not fetched ('git lfs pull')"),
)


def kind_of_content(head: bytes) -> Kind | None:
    """The kind of picture or video that begins with ``head`` (`HEAD` bytes) and is not read; None for all else."""
    if head[4:8] == b"ftyp":
        return _media_kind(head)
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return _BRANDS[b"qt  "]
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    packets = head[:1] == head[188:189] == b"G" or head[4:5] == head[196:197] == b"G"  # of 188 or 192 bytes
    if packets and not taken_format(head):
        return Kind("a video (MPEG transport stream)", ".ts", _FRAMES)
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return Kind("a video (AVI)", ".avi", _FRAMES)
    if head[:4] in (b"II*\0", b"MM\0*") and head[8:10] == b"CR":
        return RAW._replace(suffix=".cr2")
    if head[128:132] == b"DICM":
        return Kind("a DICOM picture", ".dcm")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return Kind("an SVG drawing", ".svg", "rsvg-convert in{} -o in.png")
    return None


def taken_format(head: bytes) -> str:
    """The format among those that are read that ``head`` begins as; empty if none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    return next((name for beginning, name in _TAKEN if head.startswith(beginning)), "")


def other_content(head: bytes) -> str:
    """What a file is that is neither a picture nor a video, as far as that is told by its beginning."""
    if not head:
        return "an empty file"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, perhaps what a server said in place of the picture: get it again"
    return next((name for beginning, name in _OTHERS if head.startswith(beginning)), "not a picture")


def unread(kind: Kind) -> str:
    """What to say of a file of a kind that is not read."""
    command = kind.command.format(kind.suffix)
    if kind.name.startswith("a video"):
        return f"{kind.name}, not a picture: take frames out of it first, with `{command}`"
    return f"{kind.name}, which is not read here: convert it to PNG first, with `{command}`"


def _media_kind(head: bytes) -> Kind:
    """Of an ISO base media file: by its major brand, else by a compatible one that says picture."""
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    for wanted in (b"avif", b"avis"):  # such files call themselves "mif1" first at times
        if wanted in brands:
            return _BRANDS[wanted]
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), _MP4)

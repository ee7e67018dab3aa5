"""Put every file of some folders through both ways to a picture's pixels, and hold them against other readers.

Run: python tools/sweep_pictures.py FOLDER... [--list OUTCOME...]

The others are tifffile, libpng (imagecodecs), OpenCV and FFmpeg (PyAV); ``pip install tifffile imagecodecs
opencv-python-headless av`` brings them. Good folders are the test pictures of Pillow, PngSuite and libtiff.

Each file has one outcome. *Right*: training has the pixels, before white, that another reader has, and drawing the same
with their opacity. *Refused*: with a sentence, by both. *Alone*: no other reader reads it. *Wrong*: others read it, and
none as we do. *Crashed*: any other exception. *Noisy* ones, counted besides, made a library write to the terminal.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from binorm.experiments.common.decoding import in_rgb, orientation
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError, open_image
from binorm.experiments.common.picture_content import HEAD, taken_format
from binorm.experiments.style.picture_files import Picture, decode_picture

LOSSY_MEAN, EXACT_MAX = 2.0, 3  # of 255: how far two right readers are apart
OUTCOMES = ("right", "refused", "alone", "wrong", "crashed", "noisy")
TURNS = {  # how stored rows and columns become upright ones, by EXIF's number
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def main() -> int:
    """Print the counts, and the files that are wrong or crashed; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--list", nargs="*", choices=OUTCOMES, default=["wrong", "crashed", "noisy"])
    options = parser.parse_args()
    try:
        for module in ("tifffile", "imagecodecs", "cv2", "av"):
            import_module(module)
    except ImportError as error:
        parser.error(f"{error}: pip install tifffile imagecodecs opencv-python-headless av")
    Image.MAX_IMAGE_PIXELS = None  # binorm has its own limit
    counts: Counter[str] = Counter()
    for file in sorted(each for folder in options.folders for each in folder.rglob("*") if each.is_file()):
        counts["tried"] += 1
        for outcome, reason in tried(file):
            counts[outcome] += 1
            if outcome in options.list:
                print(f"{outcome}: {file}: {reason}")
    print(", ".join(f"{name} {counts[name]:,}" for name in ("tried", *OUTCOMES)))
    return 1 if counts["wrong"] or counts["crashed"] else 0


def tried(file: Path) -> Iterator[tuple[str, str]]:
    """What comes of one file: an outcome and its reason, and whether it was noisy."""
    data = file.read_bytes()
    said: list[str] = []
    with terminal(said):
        trained, drawn = trained_with(data), drawn_with(data, str(file))
    yield judged(data, trained, drawn)
    if any(said):
        yield "noisy", said[0]


def trained_with(data: bytes) -> numpy.ndarray | Exception:
    """Training's pixels, or why there are none."""
    try:
        with open_image(data) as image:
            return numpy.asarray(in_rgb(image))
    except Exception as error:
        return error


def drawn_with(data: bytes, name: str) -> Picture | Exception:
    """Drawing's picture, or why there is none."""
    try:
        return decode_picture(data, name)
    except Exception as error:
        return error


def judged(data: bytes, trained: numpy.ndarray | Exception, drawn: Picture | Exception) -> tuple[str, str]:
    """Outcome and reason for one file's content."""
    if not isinstance(trained, numpy.ndarray) and not isinstance(trained, BrokenImageError):
        return "crashed", f"training: {trained!r}"
    if isinstance(drawn, Exception):
        if not isinstance(drawn, UserError):
            return "crashed", f"drawing: {drawn!r}"
        too_large = "megapixels" in str(drawn)  # drawing takes fewer
        return "refused" if isinstance(trained, Exception) or too_large else "wrong", str(drawn)
    if isinstance(trained, Exception):
        return "wrong", f"drawn, but not trained with: {trained}"
    if not numpy.array_equal(trained, before_white(drawn.pixels, drawn.alpha).round()):
        return "wrong", "training and drawing differ"
    differences = [
        difference(trained, drawn.alpha, colours, alpha, taken_format(data[:HEAD]))
        for colours, alpha in seen_by_others(data)
    ]
    if not differences:
        return "alone", "no other reader reads it"
    return ("right", "") if "" in differences else ("wrong", "; ".join(differences))


def difference(
    trained: numpy.ndarray,
    opacity: numpy.ndarray | None,
    colours: numpy.ndarray,
    alpha: numpy.ndarray | None,
    file_format: str,
) -> str:
    """What tells our pixels, uint8 (H, W, 3), and opacity from another reader's, 0 to 255; empty if nothing does."""
    expected = before_white(colours, alpha)
    if expected.shape != trained.shape:
        return f"shape {trained.shape}, expected {expected.shape}"
    apart = numpy.abs(trained - expected)
    lossy = file_format in ("JPEG", "WebP")
    if (apart.mean() if lossy else apart.max()) > (LOSSY_MEAN if lossy else EXACT_MAX):
        return f"pixels differ by {apart.mean():.1f}, at most {apart.max():.0f}"
    ours = 255 if opacity is None else opacity.astype(float)
    return "opacity differs" if numpy.abs(ours - (255 if alpha is None else alpha)).max() > EXACT_MAX else ""


def before_white(colours: numpy.ndarray, alpha: numpy.ndarray | None) -> numpy.ndarray:
    """Colours (H, W, 3) where there is opacity (H, W), and white elsewhere; 0 to 255."""
    if alpha is None:
        return colours.astype(float)
    share = alpha[..., None] / 255
    return colours * share + 255 * (1 - share)


def seen_by_others(data: bytes) -> Iterator[tuple[numpy.ndarray, numpy.ndarray | None]]:
    """Upright colours (H, W, 3) and opacity (H, W), 0 to 255, as each other reader has them that reads it."""
    with open_image(data) as image:
        profile, turn = image.info.get("icc_profile") or b"", TURNS[orientation(image)]
    if profile[16:20] in (b"GRAY", b"CMYK"):  # by which others do not go
        return
    readers = {"TIFF": (seen_by_tifffile,), "PNG": (seen_by_libpng,), "BMP": (seen_by_imagecodecs,)}.get(
        taken_format(data[:HEAD]), ()
    )
    for reader in (*readers, seen_by_opencv, seen_by_ffmpeg):
        with contextlib.suppress(Exception):  # anything, from readers of all kinds
            colours, alpha = reader(data)
            yield turn(colours), None if alpha is None else turn(alpha)


def seen_by_libpng(data: bytes) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """By libpng, as imagecodecs calls it; without the chunks that animate, so that none of them can be at fault."""
    imagecodecs: Any = import_module("imagecodecs")
    place, still = 8, data[:8]
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        still += data[place:end] * (data[place + 4 : place + 8] not in (b"acTL", b"fcTL", b"fdAT"))
        place = end
    return _parted(imagecodecs.png_decode(still))


def seen_by_imagecodecs(data: bytes) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """By imagecodecs' own reader of BMP."""
    imagecodecs: Any = import_module("imagecodecs")
    return _parted(imagecodecs.bmp_decode(data))


def seen_by_opencv(data: bytes) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """By OpenCV, as the file has it."""
    cv2: Any = import_module("cv2")
    colours, alpha = _parted(cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_UNCHANGED))
    return colours[..., ::-1], alpha


def seen_by_ffmpeg(data: bytes) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """By FFmpeg: its first frame."""
    av: Any = import_module("av")
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0))
    has_alpha = any(component.is_alpha for component in frame.format.components) or frame.format.name == "pal8"
    return _parted(frame.to_ndarray(format="rgba" if has_alpha else "rgb24"))


def _parted(samples: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """Colours and opacity, 0 to 255, of samples (H, W) or (H, W, C) of grey or colours, with opacity or without."""
    values = (samples if samples.ndim == 3 else samples[..., None]) * (255 / numpy.iinfo(samples.dtype).max)
    grey = values.shape[2] < 3
    colours = numpy.repeat(values[..., :1], 3, 2) if grey else values[..., :3]
    return colours, values[..., -1] if values.shape[2] in (2, 4) else None


def seen_by_tifffile(data: bytes) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """By tifffile: the samples of the first page, made colours here."""
    tifffile: Any = import_module("tifffile")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.tif"
        path.write_bytes(data)
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            samples, kind, bits = page.asarray().squeeze(), page.photometric.name, page.bitspersample
            extra, count, separate = page.extrasamples, page.samplesperpixel, page.planarconfig == 2
            colour_map = page.colormap
    if samples.ndim < 2:
        samples = samples.reshape(page.imagelength, page.imagewidth, *([count] if count > 1 else []))
    if count > 1 and separate:
        samples = numpy.moveaxis(samples, 0, -1)
    samples = samples.reshape(*samples.shape[:2], -1).astype(float)
    if kind != "PALETTE":
        samples *= 255 / (2**bits - 1)
    colours = _colours(samples, kind, colour_map)
    alpha = samples[..., -len(extra)] if extra and extra[0] in (1, 2) else None
    if extra and extra[0] == 1:
        colours = numpy.minimum(255, colours * 255 / numpy.maximum(alpha, 1)[..., None])
    return colours, alpha


def _colours(samples: numpy.ndarray, kind: str, colour_map: numpy.ndarray | None) -> numpy.ndarray:
    """Red, green and blue (H, W, 3) of samples (H, W, C), all from 0 to 255 but for indices into a palette."""
    if kind == "PALETTE" and colour_map is not None:
        return colour_map.T[samples[..., 0].astype(int)] / 257
    if kind in ("MINISBLACK", "MINISWHITE"):
        grey = numpy.repeat(samples[..., :1], 3, 2)
        return 255 - grey if kind == "MINISWHITE" else grey
    if kind in ("RGB", "YCBCR") and samples.shape[2] >= 3:
        return samples[..., :3]
    if kind == "SEPARATED":
        return (255 - samples[..., :3]) * (255 - samples[..., 3:4]) / 255
    raise ValueError(f"samples of {kind}")


@contextlib.contextmanager
def terminal(said: list[str]) -> Iterator[None]:
    """Catch what is written to the standard error meanwhile, by libraries in C as well, and add it to ``said``."""
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            said.append(file.read().decode(errors="replace").strip())


if __name__ == "__main__":
    sys.exit(main())

"""The containers that new videos are written in, and what fits into them."""

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

from binorm.experiments.style.video.opening import open_container, require_av

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
ANY = ".mkv"  # what takes nearly everything
_BY_SUFFIX = {".mp4": ".mp4", ".m4v": ".mp4", ".3gp": ".mp4", ".3g2": ".mp4", ".mov": ".mov", ".webm": ".webm"}


def target_suffix(source: Path) -> str:
    """How a new video's name ends: as the old one's if that is written and takes its sound, or else ``.mkv``.

    Or ``.mov``, where ``.mkv`` does not take the sound.
    """
    suffix = _BY_SUFFIX.get(source.suffix.lower(), ANY)
    if not source.is_file():
        return suffix
    try:
        with source.open("rb") as file, open_container(file) as container:
            sounds = container.streams.audio
            takers = (each for each in (suffix, ANY, ".mov") if all(fits(sound, each) for sound in sounds))
            return next(takers, suffix)
    except Exception:  # whatever it is, it is told at the file's turn
        return suffix


def fits(stream: Any, suffix: str) -> bool:
    """Whether packets of a stream can be copied into a container: by writing the head of one."""
    av = require_av()
    if stream.type == "data" and not stream.name:  # which some containers take, and then fail
        return False
    container = av.open(io.BytesIO(), "w", format=FORMATS[suffix])
    try:
        container.add_stream_from_template(stream)
        container.start_encoding()
    except (av.FFmpegError, ValueError, TypeError, AttributeError):  # the last two of streams without a codec
        return False
    finally:
        with suppress(av.FFmpegError, ValueError):
            container.close()
    return True

"""Which colours of a video can be drawn: those of ordinary video, and not of HDR."""

import shlex
from pathlib import Path

from binorm.experiments.common.errors import UserError

# FFmpeg's numbers, which are those of ITU-T H.273.
UNSPECIFIED = 2
MATRICES = {1, 4, 5, 6, 7, 9, UNSPECIFIED}  # that the conversion to RGB knows
TRANSFERS = {1, 4, 5, 6, 7, 11, 12, 13, 14, 15, UNSPECIFIED}  # gammas of displays; of 10 bits too
HDR = {16: "PQ, SMPTE ST 2084", 18: "HLG, ARIB STD-B67"}
NOTHING = {0, 3}  # reserved numbers, of which 0 is RGB where a matrix is meant
TONE_MAP = "zscale=t=linear:npl=100,tonemap=hable,zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p"
DOLBY_VISION = "libplacebo=colorspace=bt709:color_primaries=bt709:color_trc=bt709,format=yuv420p"
CONVERT = "zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p"


def named(number: int) -> int:
    """A number for a matrix or transfer; those that say nothing are unspecified."""
    return UNSPECIFIED if number in NOTHING else number


def check_colours(path: Path, matrix: int, transfer: int, dolby_vision: bool = False) -> None:
    """Raise a `UserError`, with the command that converts the video, for colours that would come out wrong.

    ``dolby_vision`` says that frames carry its metadata: without other colours named, their base has none of its own.
    """
    matrix, transfer = named(matrix), named(transfer)
    if kind := HDR.get(transfer):
        _refuse(path, f"is HDR ({kind}), and styles are drawn in ordinary range", TONE_MAP)
    if dolby_vision and (matrix, transfer) == (UNSPECIFIED, UNSPECIFIED):
        _refuse(path, "is Dolby Vision without an ordinary picture below it", DOLBY_VISION)
    if matrix not in MATRICES:
        _refuse(path, f"has colours by matrix {matrix} (H.273), which the conversion to RGB does not know", CONVERT)
    if transfer not in TRANSFERS:
        _refuse(path, f"has colours by transfer {transfer} (H.273), which is none of ordinary video", CONVERT)


def _refuse(path: Path, why: str, filters: str) -> None:
    command = f"ffmpeg -i {shlex.quote(path.name)} -vf {filters} {shlex.quote(f'{path.stem}-sdr.mp4')}"
    raise UserError(f"{path} {why}: convert it first, with '{command}'")

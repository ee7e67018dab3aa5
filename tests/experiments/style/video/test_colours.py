from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import read_video

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.video.colours import MATRICES, TRANSFERS, check_colours
from binorm.experiments.style.video.frames import over_white
from binorm.experiments.style.video.stylize import stylize_video

UNSPECIFIED = 2
TONE_MAP = "zscale=t=linear:npl=100,tonemap=hable,zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p"


def unchanged(pixels, strength):
    return pixels


def _tagged(path, matrix=UNSPECIFIED, transfer=UNSPECIFIED, primaries=UNSPECIFIED, codec="libx264", pixels="yuv420p"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        context = stream.codec_context
        context.colorspace, context.color_trc, context.color_primaries = matrix, transfer, primaries
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (200, 90, 40), np.uint8)).reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ, SMPTE ST 2084"), (18, "HLG, ARIB STD-B67")])
def test_hdr_is_refused_with_the_command_that_maps_it(tmp_path, transfer, name):
    source = _tagged(tmp_path / "my film.mp4", 9, transfer, 9)
    with pytest.raises(UserError) as caught:
        stylize_video(source, tmp_path / "new.mp4", unchanged)
    message = str(caught.value)
    assert f"my film.mp4 is HDR ({name})" in message
    assert f"ffmpeg -i 'my film.mp4' -vf {TONE_MAP} 'my film-sdr.mp4'" in message
    assert not (tmp_path / "new.mp4").exists()


@pytest.mark.parametrize("matrix", [8, 10, 11, 12, 13, 14, 15, 99])
def test_a_matrix_that_is_not_known_is_refused(matrix):
    with pytest.raises(UserError, match=rf"film.mkv has colours by matrix {matrix} .*ffmpeg -i film.mkv"):
        check_colours(Path("film.mkv"), matrix, UNSPECIFIED)


@pytest.mark.parametrize("transfer", [8, 9, 10, 17, 99])
def test_a_transfer_of_no_display_is_refused(transfer):
    with pytest.raises(UserError, match=f"has colours by transfer {transfer} "):
        check_colours(Path("film.mkv"), UNSPECIFIED, transfer)


def test_a_video_with_such_a_matrix_is_refused(tmp_path):
    with pytest.raises(UserError, match="colours by matrix 10"):
        stylize_video(_tagged(tmp_path / "film.mp4", 10), tmp_path / "new.mp4", unchanged)


def test_ordinary_colours_pass():
    for matrix in MATRICES | {0, 3}:
        for transfer in TRANSFERS | {0, 3}:
            check_colours(Path("film.mkv"), matrix, transfer)


def test_dolby_vision_without_an_ordinary_base_is_refused():
    with pytest.raises(UserError, match="is Dolby Vision without an ordinary picture.*libplacebo"):
        check_colours(Path("film.mkv"), UNSPECIFIED, UNSPECIFIED, dolby_vision=True)
    check_colours(Path("film.mkv"), 1, 1, dolby_vision=True)  # profile 8.2: its base is ordinary


@pytest.mark.parametrize(("matrix", "transfer", "primaries"), [(1, 1, 1), (9, 14, 9), (6, 6, 6), (2, 13, 1)])
def test_tags_of_ordinary_colours_are_true_of_the_new_video_too(tmp_path, matrix, transfer, primaries):
    stylize_video(_tagged(tmp_path / "old.mp4", matrix, transfer, primaries), tmp_path / "new.mp4", unchanged)
    with av.open(str(tmp_path / "new.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_trc, context.color_primaries) == (matrix, transfer, primaries)


def test_ten_bits_of_ordinary_range_are_drawn(tmp_path):
    source = _tagged(tmp_path / "old.mkv", 6, 6, 6, pixels="yuv420p10le")
    stylize_video(source, tmp_path / "new.mkv", unchanged)
    assert np.abs(read_video(tmp_path / "new.mkv").frames[1] - np.array([200.0, 90, 40])).max() < 4


def test_frames_of_rgb_are_not_named_a_matrix(tmp_path):
    source = _tagged(tmp_path / "old.mov", 0, 13, 1, codec="png", pixels="rgb24")
    stylize_video(source, tmp_path / "new.mkv", unchanged)
    new = read_video(tmp_path / "new.mkv")
    assert new.colours[0] == UNSPECIFIED
    assert np.abs(new.frames[1] - np.array([200.0, 90, 40])).max() < 4


def _see_through(path, codec, pixels, options=None):
    """Red, of which the left third is not there at all."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        rgba = np.full((48, 64, 4), (250, 30, 30, 255), np.uint8)
        rgba[:, :20, 3] = 0
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("old.webm", "libvpx-vp9", "yuva420p", {}),
        ("old.mkv", "libvpx-vp9", "yuva420p", {}),
        ("old.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
        ("old.mov", "qtrle", "argb", {}),
        ("old.mov", "png", "rgba", {}),
        ("old.mkv", "ffv1", "yuva420p", {}),
    ],
)
def test_what_is_transparent_is_white_and_said(tmp_path, name, codec, pixels, options):
    source = _see_through(tmp_path / name, codec, pixels, options)
    seen = []

    def watch(frame, strength):
        seen.append(frame)
        return frame

    facts = stylize_video(source, tmp_path / "new.mkv", watch)
    assert facts.warnings == ("its transparency is not kept: it is drawn over white",)
    for frame in seen:
        assert (frame[5:40, 3:15] == 255).all()
        assert np.abs(frame[5:40, 30:60] - np.array([250.0, 30, 30])).max() < 8
    with av.open(str(tmp_path / "new.mkv")) as container:
        assert "ALPHA_MODE" not in container.streams.video[0].metadata


def test_an_opaque_video_with_an_alpha_channel_is_no_matter(tmp_path):
    source = _tagged(tmp_path / "old.mov", codec="qtrle", pixels="argb")
    assert stylize_video(source, tmp_path / "new.mkv", unchanged).warnings == ()


def test_half_transparent_pixels_are_mixed_with_white():
    pixels, seen_through = over_white(np.array([[[0, 100, 255, 128], [0, 100, 255, 255]]], np.uint8))
    assert seen_through
    assert pixels.tolist() == [[[127, 177, 255], [0, 100, 255]]]

import errno
import os
import struct
import subprocess
import sys
import warnings

import numpy
import pytest
from odd_pictures import tiff
from photo_trees import encode, photograph
from PIL import Image
from random_styles import write_random_style

from binorm.experiments.cli import main
from binorm.experiments.common.errors import UserError
from binorm.experiments.style.drawing.stylizer import Stylizer
from binorm.experiments.style.picture_files import read_picture
from binorm.experiments.style.style_file import load_style


@pytest.fixture
def style(tmp_path):
    return write_random_style(tmp_path / "waves.safetensors")


@pytest.fixture
def photos(tmp_path):
    """Two pictures, one of them in a sub-folder, beside files that are none."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    (folder / "a.png").write_bytes(encode(photograph(1, (30, 20)), "PNG"))
    (folder / "trip" / "b.JPG").write_bytes(encode(photograph(2, (24, 32))))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture either")
    return folder


def _stylize(*arguments):
    return main(["stylize", *map(str, arguments)])


def _written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _error(capsys, *arguments):
    """The message of a command that must fail as the user's mistake, without a traceback."""
    assert _stylize(*arguments) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.startswith("error: ")
    return error


def test_a_folder_is_stylized_with_its_sub_folders(photos, style, tmp_path, capsys):
    out = tmp_path / "out"
    before = _written(photos)
    assert _stylize(photos, "--style", style, "--out", out) == 0
    assert _written(out) == ["a-waves.png", "trip/b-waves.jpg"]
    assert _written(photos) == before
    expected = Stylizer(load_style(style)[0])(read_picture(photos / "a.png").pixels)
    assert numpy.array_equal(read_picture(out / "a-waves.png").pixels, expected)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [
        [str(photos / "a.png"), "30x20"],
        [str(photos / "trip" / "b.JPG"), "24x32"],
    ]


def test_results_below_the_input_are_not_stylized_again(photos, style):
    arguments = (photos, "--style", style, "--out", photos / "stylized")
    assert _stylize(*arguments) == _stylize(*arguments) == 0
    assert _written(photos / "stylized") == ["a-waves.png", "trip/b-waves.jpg"]


def test_strength_gate_and_size_reach_the_stylizer(photos, style, tmp_path):
    arguments = (photos / "a.png", "--style", style, "--out", tmp_path / "out")
    assert _stylize(*arguments, "--strength", "0.5", "--gate", "-1") == 0
    pixels = read_picture(photos / "a.png").pixels
    result = tmp_path / "out" / "a-waves.png"
    assert numpy.array_equal(read_picture(result).pixels, Stylizer(load_style(style)[0], -1.0)(pixels, 0.5))
    assert _stylize(*arguments, "--size", "15", "--overwrite") == 0
    assert read_picture(result).pixels.shape == (10, 15, 3)


@pytest.mark.parametrize(("file_format", "suffix"), [("png", ".png"), ("jpg", ".jpg"), ("webp", ".webp")])
def test_the_format_can_be_chosen(photos, style, tmp_path, file_format, suffix):
    assert _stylize(photos / "a.png", "--style", style, "--out", tmp_path / "out", "--format", file_format) == 0
    with Image.open(tmp_path / "out" / f"a-waves{suffix}") as image:
        assert image.format == {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[file_format]


def test_formats_that_are_only_read_become_png_and_alpha_stays(tmp_path, style):
    rgba = photograph(1, (20, 12)).convert("RGBA")
    rgba.putalpha(photograph(2, (20, 12)).convert("L"))
    source = tmp_path / "a.tiff"
    source.write_bytes(encode(rgba, "TIFF"))
    assert _stylize(source, "--style", style, "--out", tmp_path / "out") == 0
    result = read_picture(tmp_path / "out" / "a-waves.png")
    assert numpy.array_equal(result.alpha, numpy.asarray(rgba.getchannel("A")))


def test_of_several_frames_the_first_is_drawn_and_that_is_said(tmp_path, style, capsys):
    frames = [photograph(k, (20, 12)) for k in (1, 2)]
    source = tmp_path / "a.tiff"
    source.write_bytes(encode(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert _stylize(source, "--style", style, "--out", tmp_path / "out") == 0
    assert "20x12  the first of 2 frames or pages" in capsys.readouterr().out
    expected = Stylizer(load_style(style)[0])(numpy.asarray(frames[0]))
    assert numpy.array_equal(read_picture(tmp_path / "out" / "a-waves.png").pixels, expected)


def test_too_large_a_picture_is_told_what_size_does_not_do(tmp_path, style, capsys):
    source = tmp_path / "a.tif"
    source.write_bytes(tiff(b"", 12_000, 9_000, bits=8, photometric=1))
    error = _error(capsys, source, "--style", style, "--size", "500")
    assert "has 12000x9000 pixels, more than the 50 megapixels that are taken: make it smaller first" in error
    assert "--size comes after decoding" in error


def test_one_broken_picture_does_not_stop_the_others(photos, style, tmp_path, capsys):
    (photos / "0.png").write_bytes((photos / "a.png").read_bytes()[:200])
    assert _stylize(photos, "--style", style, "--out", tmp_path / "out") == 2
    assert _written(tmp_path / "out") == ["a-waves.png", "trip/b-waves.jpg"]
    error = capsys.readouterr().err
    assert f"error: {photos / '0.png'} is damaged" in error
    assert "1 of 3 files could not be stylized" in error


def test_a_named_file_that_is_no_picture_is_an_error(photos, style, tmp_path, capsys):
    assert "notes.txt is not a picture" in _error(capsys, photos / "notes.txt", "--style", style)
    assert "there is no file or folder" in _error(capsys, photos / "none.png", "--style", style)
    (tmp_path / "empty").mkdir()
    assert "holds no picture" in _error(capsys, tmp_path / "empty", "--style", style)


def test_two_inputs_with_one_name_are_both_drawn(photos, style, tmp_path):
    (photos / "a.tif").write_bytes(encode(photograph(1, (20, 20)), "TIFF"))
    assert _stylize(photos, "--style", style, "--out", tmp_path / "out") == 0
    assert _written(tmp_path / "out") == ["a-png-waves.png", "a-tif-waves.png", "trip/b-waves.jpg"]


def test_no_input_is_replaced(photos, style, capsys):
    data = (photos / "a.png").read_bytes()
    (photos / "a-waves.png").write_bytes(data)
    arguments = (photos / "a.png", photos / "a-waves.png", "--style", style, "--out", photos, "--overwrite")
    assert "which is an input itself" in _error(capsys, *arguments)
    assert (photos / "a-waves.png").read_bytes() == data


def test_what_exists_already_is_left_alone_and_named(photos, style, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a-waves.png").write_text("the user's own")
    assert _stylize(photos, "--style", style, "--out", out) == 0
    assert (out / "a-waves.png").read_text() == "the user's own"
    assert _written(out) == ["a-waves.png", "trip/b-waves.jpg"]
    error = capsys.readouterr().err
    assert f"1 of 2 results exist already and are left alone, such as {out / 'a-waves.png'}: --overwrite" in error
    assert _stylize(photos / "a.png", "--style", style, "--out", out) == 0
    assert "a-waves.png exists already and is left alone: --overwrite draws it anew" in capsys.readouterr().err
    assert _stylize(photos / "a.png", "--style", style, "--out", out, "--overwrite") == 0
    assert read_picture(out / "a-waves.png").pixels.shape == (20, 30, 3)


def test_what_is_left_out_of_a_folder_is_said_in_one_line(photos, style, tmp_path, capsys):
    (photos / "phone.HEIC").touch()
    (photos / "trip" / "clip.mp4").touch()
    (photos / "gone.png").symlink_to("nowhere")
    assert _stylize(photos, "--style", style, "--out", tmp_path / "out") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("left out: ")
    assert f"pictures of a kind that is not read (convert them to PNG) (1, such as {photos / 'phone.HEIC'})" in line
    assert f"videos, to be given by their own names (1, such as {photos / 'trip' / 'clip.mp4'})" in line
    assert f"links to nothing (1, such as {photos / 'gone.png'})" in line


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "there is not enough memory for it"),
        (RecursionError("too\ndeep"), "RecursionError: too deep"),
        (struct.error("unpack"), "error: unpack"),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_whatever_a_library_raises_for_one_picture_the_others_are_drawn(
    photos, style, tmp_path, capsys, monkeypatch, error, text
):
    def reading(path):
        if path.name == "a.png":
            raise error
        return read_picture(path)

    monkeypatch.setattr("binorm.experiments.style.picture_files.read_picture", reading)
    assert _stylize(photos, "--style", style, "--out", tmp_path / "out") == 2
    assert _written(tmp_path / "out") == ["trip/b-waves.jpg"]
    errors = capsys.readouterr().err.splitlines()[1:]
    assert errors == [
        f"error: {photos / 'a.png'} cannot be stylized: {text}",
        "1 of 2 files could not be stylized",
    ]


def test_an_error_that_names_no_file_gets_its_name(photos, style, tmp_path, capsys, monkeypatch):
    def reading(_):
        raise UserError("too long for a JPEG")

    monkeypatch.setattr("binorm.experiments.style.picture_files.read_picture", reading)
    message = _error(capsys, photos / "a.png", "--style", style, "--out", tmp_path / "out")
    assert message == f"error: {photos / 'a.png'}: too long for a JPEG\n"


def test_a_warning_comes_with_the_name_of_its_file(photos, style, tmp_path, capsys, monkeypatch):
    def reading(path):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("odd EXIF data", stacklevel=1)
        return read_picture(path)

    monkeypatch.setattr("binorm.experiments.style.picture_files.read_picture", reading)
    assert _stylize(photos / "a.png", "--style", style, "--out", tmp_path / "out") == 0
    assert capsys.readouterr().err == f"warning: {photos / 'a.png'}: odd EXIF data\n"


def test_a_full_disk_is_said_once_and_ends_the_work(photos, style, tmp_path, capsys, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert _stylize(photos, "--style", style, "--out", tmp_path / "out") == 2
    assert _written(tmp_path / "out") == []
    error = capsys.readouterr().err
    assert error.count("No space left on device; free some space") == 1
    assert "stopped: 2 of 2 files are not drawn yet; the same command goes on with them" in error


def test_one_result_that_cannot_be_written_does_not_stop_the_others(photos, style, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "trip").write_text("a file where a folder should be")
    (photos / "z.png").write_bytes((photos / "a.png").read_bytes())
    assert _stylize(photos, "--style", style, "--out", out) == 2
    assert _written(out) == ["a-waves.png", "trip", "z-waves.png"]
    assert f"cannot write {out / 'trip' / 'b-waves.jpg'}" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["a.png", "a.png/below", ""])
def test_a_place_for_no_results_is_named_before_any_work(photos, style, capsys, monkeypatch, out):
    monkeypatch.chdir(photos)
    before = _written(photos)
    message = _error(capsys, "trip", "--style", style, "--out", out)
    assert "a file is where a folder should be" in message or "--out should name a folder (got '')" in message
    assert _written(photos) == before


def test_names_of_any_kind_are_drawn_and_printed_on_one_line(style, tmp_path, capsys):
    names = ["caf\udce9.png", "new\nline.png", "\x1b[31mred.png", "[red]x.png", "m" * 240 + ".png", "null"]
    for name in names:
        (tmp_path / name).write_bytes(encode(photograph(1, (16, 12)), "PNG"))
    assert _stylize(*(tmp_path / name for name in names), "--style", style, "--out", tmp_path / "out") == 0
    assert len(_written(tmp_path / "out")) == len(names)
    output = capsys.readouterr().out
    lines = output.splitlines()
    assert [line.startswith(str(tmp_path)) for line in lines] == [True] * len(names)
    assert all(text in output for text in ("caf\\xe9.png", "new\\nline.png", "\\x1b[31mred.png", "[red]x.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strength", "1.5"], r"between 0 (the photo) and 1 (the style) (got 1.5)"),
        (["--gate", "2"], "between -1 (all IN) and 1 (all BN) (got 2.0)"),
        (["--size", "3"], "--size should be at least 8 pixels (got 3)"),
        (["--consistency", "0.5"], "--consistency is that of videos"),
        (["--style", "no-such-style"], "there is no style 'no-such-style'"),
    ],
)
def test_mistakes_are_found_before_any_work(photos, style, tmp_path, capsys, options, message):
    given = options if "--style" in options else ["--style", style, *options]
    assert message in _error(capsys, photos, "--out", tmp_path / "out", *given)
    assert not (tmp_path / "out").exists()


def test_an_interrupt_leaves_nothing_half_written(photos, style, tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", stop)  # at the last moment
    assert _stylize(photos / "a.png", "--style", style, "--out", tmp_path / "out") == 130
    assert _written(tmp_path / "out") == []
    assert "stopped" in capsys.readouterr().err


def test_the_same_command_goes_on_where_it_was_stopped(photos, style, tmp_path, capsys, monkeypatch):
    def stop_at(path):
        if path.name == "b.JPG":
            raise KeyboardInterrupt
        return read_picture(path)

    arguments = (photos, "--style", style, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("binorm.experiments.style.picture_files.read_picture", stop_at)
        assert _stylize(*arguments) == 130
    capsys.readouterr()
    assert _stylize(*arguments) == 0
    assert _written(tmp_path / "out") == ["a-waves.png", "trip/b-waves.jpg"]
    assert capsys.readouterr().out.startswith(str(photos / "trip" / "b.JPG"))


def test_videos_go_to_their_own_function(photos, style, tmp_path, capsys, monkeypatch):
    from binorm.experiments.style.video import stylize as video

    def stylize_video(source, target, stylizer, strength, consistency, progress):
        calls.append((source, target, strength, consistency))
        progress(1, 2)
        return video.VideoFacts(2, 1.0, 64, 48, 2.0, 0.5)

    calls = []
    monkeypatch.setattr(video, "stylize_video", stylize_video)
    clip, out = tmp_path / "clip.AVI", tmp_path / "out"
    clip.write_bytes(b"frames")
    options = ("--style", style, "--out", out, "--strength", "0.5", "--consistency", "0.7")
    assert _stylize(clip, photos / "a.png", *options) == 0
    assert calls == [(clip, out / "clip-waves.mkv", 0.5, 0.7)]
    assert "64x48  2 frames" in capsys.readouterr().out
    assert _written(out) == ["a-waves.png"]
    assert "is a video" in _error(capsys, clip, "--style", style, "--size", "100")


def test_a_run_gives_its_style_the_name_of_its_picture(photos, tmp_path):
    write_random_style(tmp_path / "seed0" / "style.safetensors", title="The Great Wave, off Kanagawa")
    assert _stylize(photos / "a.png", "--style", tmp_path / "seed0", "--out", tmp_path / "out") == 0
    assert _written(tmp_path / "out") == ["a-the-great-wave-off-kanagawa.png"]


def test_without_inputs_the_styles_are_listed(style, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("binorm.experiments.style.style_file.SHIPPED", tmp_path)
    for arguments in ((), ("--list",)):
        assert _stylize(*arguments) == 0
        output = capsys.readouterr().out
        assert all(text in output for text in ("waves", "Waves", "Nobody", "1900"))


def test_help_waits_for_no_network():
    code = (
        "import contextlib, sys\nfrom binorm.experiments.cli import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['stylize', '--help'])\n"
        "heavy = {'PIL', 'av', *(f'binorm.experiments.style.{name}' for name in ('network', 'stylizer', 'video'))}\n"
        "print(heavy & set(sys.modules))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--strength" in output
    assert output.splitlines()[-1] == "set()"

import subprocess
import sys

import numpy
import pytest
from photo_trees import encode, photograph
from PIL import Image
from random_styles import write_random_style

from binorm.experiments.cli import main
from binorm.experiments.style.drawing.stylizer import Stylizer
from binorm.experiments.style.jobs import plan_jobs
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
    assert _stylize(*arguments, "--size", "15") == 0
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
    assert "holds no pictures" in _error(capsys, tmp_path / "empty", "--style", style)


def test_two_inputs_with_one_output_are_an_error_before_any_work(photos, style, tmp_path, capsys):
    (photos / "a.tif").write_bytes(encode(photograph(1, (20, 20)), "TIFF"))
    out = tmp_path / "out"
    message = _error(capsys, photos, "--style", style, "--out", out)
    assert f"would both become {out / 'a-waves.png'}" in message
    assert not out.exists()


def test_no_input_is_replaced(photos, style, capsys):
    data = (photos / "a.png").read_bytes()
    (photos / "a-waves.png").write_bytes(data)
    arguments = (photos / "a.png", photos / "a-waves.png", "--style", style, "--out", photos / "trip" / "..")
    assert "which is an input itself" in _error(capsys, *arguments)
    assert (photos / "a-waves.png").read_bytes() == data


def test_the_same_file_twice_is_done_once(photos, tmp_path):
    jobs = plan_jobs([photos / "a.png", photos, photos / "trip" / ".." / "a.png"], tmp_path, "waves")
    assert [job.source.name for job in jobs] == ["a.png", "b.JPG"]


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

import pytest
from random_styles import write_random_style
from video_containers import write_container

from binorm.experiments.cli import main


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A whole film, one that is cut, one whose end is not certain, and one that is a web page, in one folder."""
    folder = tmp_path_factory.mktemp("films")
    write_container(folder / "whole.avi", "avi", length=4)
    write_container(folder / "live.mkv", "mkv live", length=4)
    whole = write_container(folder / "cut.mp4", "mp4 faststart", length=20).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    (folder / "page.mp4").write_text("<!DOCTYPE html><html><body>not found</body></html>")
    return folder


def _stylize(style, out, *films):
    return main(["stylize", *map(str, films), "--style", str(style), "--out", str(out)])


def test_a_cut_video_keeps_none_of_the_others(films, tmp_path, capsys):
    style, out = write_random_style(tmp_path / "waves.safetensors"), tmp_path / "out"
    assert _stylize(style, out, *(films / name for name in ("cut.mp4", "live.mkv", "page.mp4", "whole.avi"))) == 2
    assert sorted(path.name for path in out.iterdir()) == ["live-waves.mkv", "whole-waves.mkv"]
    printed = capsys.readouterr()
    errors = printed.err.splitlines()
    assert errors[0].startswith(f"error: {films / 'cut.mp4'} is cut off: it holds ")
    assert errors[1].startswith(f"warning: {films / 'live.mkv'}: 4 frames (0.2 s) are drawn, and whether these are all")
    assert errors[2].startswith(f"error: {films / 'page.mp4'} is no video that can be read: it is a page of the web")
    assert errors[3:] == ["2 of 4 files could not be stylized"]
    results = printed.out.splitlines()
    assert [line.startswith(str(films / name)) for line, name in zip(results, ("live.mkv", "whole.avi"), strict=True)]
    assert "instead of" not in results[0]
    assert ".mkv instead of .avi" in results[1]


def test_a_warning_alone_is_no_failure(films, tmp_path, capsys):
    style = write_random_style(tmp_path / "waves.safetensors")
    assert _stylize(style, tmp_path / "out", films / "live.mkv") == 0
    assert capsys.readouterr().err.count("warning:") == 1

import os
from pathlib import Path

import pytest

from binorm.experiments.style.inputs import GivenFile
from binorm.experiments.style.result_names import result_names, result_suffix, style_label
from binorm.experiments.style.style_file import StyleCard


def _named(*sources, style="udnie"):
    files = [GivenFile(Path(source), Path(source).parent) for source in sources]
    suffixes = [result_suffix(file.source, False, "keep") for file in files]
    return [str(name) for name in result_names(files, suffixes, style)]


def test_a_name_is_the_pictures_with_the_style_behind():
    assert _named("a.png", "trip/a.png", "b.tar.JPG", "c") == [
        "a-udnie.png",
        "trip/a-udnie.png",
        "b.tar-udnie.jpg",
        "c-udnie.png",
    ]


@pytest.mark.parametrize(
    ("sources", "results"),
    [
        (("star.gif", "star.png"), ("star-gif-udnie.png", "star-png-udnie.png")),
        (("star", "star.png"), ("star-udnie.png", "star-png-udnie.png")),
        (("star.jpg", "star.png"), ("star-udnie.jpg", "star-udnie.png")),
        (("A.png", "a.png"), ("A-udnie.png", "a-2-udnie.png")),
        (("a.png", "A.png"), ("a-2-udnie.png", "A-udnie.png")),  # whatever the order
        (("Trip/a.png", "trip/a.png"), ("Trip/a-udnie.png", "trip/a-2-udnie.png")),
        (("\u00fc.png", "u\u0308.png"), ("\u00fc-2-udnie.png", "u\u0308-udnie.png")),
        (("a.png", "A.png", "a-2.png"), ("a-3-udnie.png", "A-udnie.png", "a-2-udnie.png")),
        (("a.gif", "a.png", "a-gif.png"), ("a-gif-2-udnie.png", "a-png-udnie.png", "a-gif-udnie.png")),
        (("a.gif", "a.png", "A.PNG"), ("a-gif-udnie.png", "a-png-2-udnie.png", "A-png-udnie.png")),
    ],
)
def test_names_that_would_clash_are_told_apart(sources, results):
    assert tuple(_named(*sources)) == results


@pytest.mark.parametrize("stem", ["m" * 240, "漢" * 83, "\U0001f98b" * 62, "\udcff" * 250, "u\u0308" * 80])
def test_names_too_long_for_a_file_system_are_cut_to_different_ones(stem, tmp_path):
    names = _named(f"{stem}.png", f"{stem}x.png")
    assert len(set(names)) == 2
    assert all(name.endswith("-udnie.png") and name.startswith(stem[:10]) for name in names)
    assert all(len(os.fsencode(name)) <= 255 for name in names)
    assert names == _named(f"{stem}.png", f"{stem}x.png")
    (tmp_path / names[0]).touch()


def test_a_name_that_just_fits_is_left_as_it_is():
    stem = "m" * (255 - len("-udnie.png"))
    assert _named(f"{stem}.png") == [f"{stem}-udnie.png"]


def test_a_styles_long_name_is_cut_too():
    card = StyleCard("T" * 300, "", "", "", "bin", 4, 1, "")
    assert len(style_label(Path("seed0/style.safetensors"), card)) == 100
    label = style_label(Path("s" * 240 + ".safetensors"), card)
    assert len(os.fsencode(_named("m" * 240 + ".png", style=label)[0])) <= 255


@pytest.mark.parametrize(
    ("source", "is_video", "suffix"),
    [
        ("a.jpe", False, ".jpg"), ("a.JFIF", False, ".jpg"), ("a.jpeg", False, ".jpeg"), ("a.gif", False, ".png"),
        ("a.ppm", False, ".png"), ("a", False, ".png"), ("a.MP4", True, ".mp4"), ("a.m4v", True, ".mp4"),
        ("a.mov", True, ".mov"), ("a.webm", True, ".webm"), ("a.ts", True, ".mkv"), ("a", True, ".mkv"),
    ],
)  # fmt: skip
def test_suffixes_are_those_of_formats_that_are_written(source, is_video, suffix):
    assert result_suffix(Path(source), is_video, "keep") == suffix

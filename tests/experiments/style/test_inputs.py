import os
from pathlib import Path

import pytest

from binorm.experiments.data.trees.folder_walk import DANGLING, HIDDEN, REPEATED, by_reason
from binorm.experiments.style.folder_pictures import VIDEOS
from binorm.experiments.style.inputs import find_inputs

UNREAD = "pictures of a kind that is not read (convert them to PNG)"


@pytest.fixture
def folder(tmp_path):
    return _tree(tmp_path / "photos", "a.png", "trip/b.JPG", "trip/deep/c.tif")


def _tree(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def _names(inputs, root):
    return [(str(file.source.relative_to(root)), str(file.folder)) for file in inputs.files]


def _found(*given, results="out"):
    return find_inputs([str(each) for each in given], Path(results))


def test_a_folders_pictures_keep_their_sub_folders(folder):
    inputs = _found(f"{folder}/")
    assert _names(inputs, folder) == [("a.png", "."), ("trip/b.JPG", "trip"), ("trip/deep/c.tif", "trip/deep")]
    assert not inputs.faults
    assert not inputs.left_out


def test_what_is_left_out_is_kept_by_reason(folder):
    _tree(folder, "phone.HEIC", "trip/web.avif", "clip.mts", "notes.txt", "scan", "a.picture", ".a.png", "._a.png")
    _tree(folder, "@eaDir/a.png", ".Trash-1000/b.png", ".DS_Store")
    inputs = _found(folder)
    assert len(inputs.files) == 3
    left_out = inputs.left_out.items()
    assert {reason: {name.removeprefix(f"{folder}/") for name in names} for reason, names in left_out} == {
        UNREAD: {"phone.HEIC", "trip/web.avif"},
        VIDEOS: {"clip.mts"},
        "files whose names have no ending": {"scan"},
        "files whose names do not end as a picture's": {"a.picture"},
        HIDDEN: {".a.png", "._a.png", "@eaDir/a.png", ".Trash-1000/b.png"},
    }


def test_reasons_are_told_in_one_line_with_counts_and_first_names():
    text = by_reason({"videos": ["a.mp4"], "links": list("abcd")})
    assert text == "videos (1, such as a.mp4); links (4, such as a, b, c)"


def test_loops_of_links_end_and_each_file_is_taken_once_by_its_own_name(folder):
    (folder / "trip" / "up").symlink_to("..")
    (folder / "a-link.png").symlink_to("trip/b.JPG")
    (folder / "self").symlink_to("self")
    (folder / ".self").symlink_to(".self")
    (folder / "gone.png").symlink_to("/nowhere.png")
    inputs = _found(folder)
    assert [name for name, _ in _names(inputs, folder)] == ["a.png", "trip/b.JPG", "trip/deep/c.tif"]
    assert inputs.left_out == {
        DANGLING: [str(folder / "gone.png"), str(folder / "self")],
        REPEATED: [str(folder / "a-link.png"), str(folder / "trip" / "up")],
    }


def test_links_to_places_elsewhere_are_followed(folder, tmp_path):
    elsewhere = _tree(tmp_path / "elsewhere", "d.png")
    (folder / "more").symlink_to(elsewhere)
    (folder / "one.png").symlink_to(_tree(tmp_path, "other.png") / "other.png")
    assert {("more/d.png", "more"), ("one.png", ".")} < set(_names(_found(folder), folder))


def test_the_same_file_twice_is_taken_once(folder):
    given = (folder / "a.png", folder, folder / "trip" / ".." / "a.png", folder / "trip")
    inputs = _found(*given)
    assert [file.source.name for file in inputs.files] == ["a.png", "b.JPG", "c.tif"]
    assert not inputs.left_out


def test_the_folder_of_results_is_passed_by_below_an_input_alone(folder):
    assert [file.source.name for file in _found(folder, results=folder / "trip").files] == ["a.png"]
    assert len(_found(folder, results=folder).files) == 3
    assert len(_found(folder / "trip", results=folder).files) == 2


def test_a_folder_without_pictures_says_what_is_there(tmp_path):
    _tree(tmp_path / "films", "a.mp4", "readme.txt")
    (tmp_path / "empty").mkdir()
    films, empty = _found(tmp_path / "films", tmp_path / "empty").faults
    assert "films holds no picture (.bmp," in films
    assert "videos, to be given by their own names (1," in films
    assert "other files (1," in films
    assert empty.endswith("it is empty")


def test_what_is_not_there_is_named_and_the_rest_is_taken(folder, tmp_path):
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    given = ("none.png", folder / "a.png" / "b.png", tmp_path / "gone.png", tmp_path / "pipe.png", "", "none*.png")
    inputs = _found(*given, folder / "a.png")
    assert [file.source.name for file in inputs.files] == ["a.png"]
    expected = (
        "there is no file or folder none.png",
        "there is no file or folder",
        "gone.png is a link to what is not there",
        "pipe.png is neither a file nor a folder",
        "expected the name of a file or folder (got '')",
        "there is no file or folder none*.png, and none of which it is a pattern",
    )
    assert len(inputs.faults) == len(expected)
    assert all(text in fault for text, fault in zip(expected, inputs.faults, strict=True))


def test_a_sub_folder_that_cannot_be_read_is_named(folder, monkeypatch):
    def refusing(path, scandir=os.scandir):
        if Path(path).name == "trip":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    inputs = _found(folder)
    assert [file.source.name for file in inputs.files] == ["a.png"]
    assert inputs.faults == [f"cannot read {folder / 'trip'}: Permission denied"]


def test_a_file_that_cannot_be_looked_at_is_named(folder, monkeypatch):
    def refusing(path, *, follow_symlinks=True):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refusing)  # as below a folder that may not be entered
    assert _found(folder / "a.png").faults == [f"cannot read {folder / 'a.png'}: Permission denied"]


def test_patterns_and_the_home_folder_are_understood(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    _tree(folder, "x[1].png", "x1.png")
    assert _names(_found("~/trip/*.JPG"), folder) == [("trip/b.JPG", ".")]
    assert _names(_found("~/**/*.tif"), folder) == [("trip/deep/c.tif", ".")]
    assert _names(_found(folder / "x[1].png"), folder) == [("x[1].png", ".")]  # a name before it is a pattern

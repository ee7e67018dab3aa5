"""What people's folders and archives have besides the pictures changes no data set, and is told.

A new reader of picture files passes all of it by being registered in `WRITERS`: what it reads from a tree with hidden
copies, links, other files or repeated entries is what it reads without.
"""

import os
import shutil
import tarfile
import unicodedata
import warnings
import zipfile
from pathlib import Path

import pytest
from character_trees import write_class_folders
from cifar_trees import write_pictures
from domain_trees import write_domains
from tiny_imagenet_trees import write_published
from torchvision_trees import write_eurosat

from binorm.experiments.common.errors import UserError
from binorm.experiments.data import DATASETS, load
from binorm.experiments.data.describe import verify
from binorm.experiments.data.identity import identity


def _splits(root):
    write_pictures(root, classes=("cat", "dog"), per_class=3, size=(9, 8))


def _imagenet(root):
    _splits(root)
    (root / "test").rename(root / "val")


# How a whole small copy is written, and the folder of one of its classes' pictures; by name of a data set.
WRITERS = {
    "cifar10": (write_pictures, "train/cat"),
    "imagenet": (_imagenet, "train/cat"),
    "tiny-imagenet": (write_published, "tiny-imagenet-200/train/n00000000/images"),
    "icdar2003": (write_class_folders, "train/Sample001"),
    "eurosat": (write_eurosat, "eurosat/2750/Land0"),
    "folder": (_splits, "train/cat"),
    "domains": (write_domains, "photo/dog"),
}
OWN = ("folder", "domains", "imagenet")  # whose classes are what their folders are
NO_PICTURE_FILES = ("digits", "digit-domains")  # embedded; arrays in four files of their own formats
SYSTEM = (".ipynb_checkpoints", "@eaDir", ".Trash-1000", "$RECYCLE.BIN", "__MACOSX", "lost+found")


@pytest.fixture(params=WRITERS)
def name(request):
    return request.param


@pytest.fixture
def tree(name, tmp_path):
    root = tmp_path / "tree"
    WRITERS[name][0](root)
    return root


def _folder(name, root):
    """The folder of a class of which there is a picture."""
    folder = root / WRITERS[name][1]
    return folder if folder.is_dir() else next(each for each in sorted(folder.parent.iterdir()) if each.is_dir())


def _first(folder):
    return next(each for each in sorted(folder.iterdir()) if each.is_file())


def _read(name, path):
    dataset = load(name, path)
    return identity(dataset).fingerprint, " ".join(dataset.remarks)


def _check(name, plain, path, *told):
    """What is read is as before, and what is said of it, in training and in verification, has all of ``told``."""
    mark, remarks = _read(name, path)
    assert mark == plain
    for text in told:
        assert text in remarks
    found = verify(name, path).found
    assert bool(found.passed_over) == bool(told)
    assert (("passed over" in found.verdict) or ("not whole" in found.verdict)) == bool(told) or found.faults


def test_every_kind_of_reader_is_registered():
    registered = {type(DATASETS[name]) for name in (*WRITERS, *NO_PICTURE_FILES)}
    assert {type(entry) for entry in DATASETS.values()} == registered


@pytest.mark.parametrize("system", SYSTEM)
def test_hidden_and_system_folders_are_ignored(name, tree, system):
    plain, _ = _read(name, tree)
    folder = _folder(name, tree)
    shutil.copytree(folder, folder / system)
    shutil.copytree(folder / system, folder.parent / system / "inside")
    _check(name, plain, tree, "left out: hidden pictures")


def test_hidden_pictures_are_ignored(name, tree):
    plain, _ = _read(name, tree)
    folder = _folder(name, tree)
    first = _first(folder)
    (folder / f"._{first.name}").write_bytes(b"what another file system could not keep")
    shutil.copy(first, folder / f".{first.name}")
    _check(name, plain, tree, "left out: hidden pictures and those in hidden or system folders (2,")


def test_links_do_not_multiply_pictures(name, tree):
    plain, _ = _read(name, tree)
    folder = _folder(name, tree)
    first = _first(folder)
    (folder / "loop").symlink_to(".")
    (folder / "above").symlink_to(tree)
    (folder / f"again{first.suffix}").symlink_to(first.name)
    os.link(first, folder / f"zzz{first.suffix}")
    _check(name, plain, tree, "under another name already (")


def test_pictures_that_are_links_are_read(name, tree, tmp_path):
    folder = _folder(name, tree)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tree, elsewhere)
    plain, _ = _read(name, elsewhere)
    first = _first(folder)
    shutil.move(first, tmp_path / first.name)
    first.symlink_to(tmp_path / first.name)
    _check(name, plain, tree)


def test_links_to_nothing_are_told(name, tree):
    plain, _ = _read(name, tree)
    folder = _folder(name, tree)
    for number in range(3):
        (folder / f"link{number}.png").symlink_to(f"/nowhere/{number}.png")
    _check(name, plain, tree, "left out: links to nothing (3, such as ")


def test_what_lies_beside_pictures_is_not_worth_a_word(name, tree):
    plain, _ = _read(name, tree)
    for place in (tree, _folder(name, tree)):
        for file in ("Thumbs.db", "desktop.ini", "README.txt", "labels.csv", "LICENSE", ".DS_Store"):
            (place / file).write_bytes(b"x")
    _check(name, plain, tree)


@pytest.mark.parametrize("name", [each for each in WRITERS if each != "eurosat"], indirect=True)  # torchvision's choice
def test_files_that_are_not_taken_are_told_by_reason(name, tree):
    plain, _ = _read(name, tree)
    folder = _folder(name, tree)
    for file in ("phone.HEIC", "web.avif", "film.mp4", "noext", "x.bin"):
        (folder / file).write_bytes(b"x")
    _check(name, plain, tree, "kind that is not read (convert them to PNG) (2,", "videos (1,", "no ending (1,")


@pytest.mark.parametrize("name", OWN, indirect=True)
@pytest.mark.parametrize("inside", [(), ("a.avif", "b.heic")])
def test_a_class_without_pictures_is_an_error(name, tree, inside):
    lost = _folder(name, tree).parent / "zebra"
    lost.mkdir()
    for file in inside:
        (lost / file).write_bytes(b"x")
    with pytest.raises(UserError, match=r"class folder .*zebra in .*has no picture that is read"):
        load(name, tree)


@pytest.mark.parametrize("name", OWN, indirect=True)
def test_one_class_in_two_forms_of_unicode_is_one(name, tree):
    folder = _folder(name, tree)
    others = [each for each in tree.rglob(folder.name) if each.is_dir()]
    for number, each in enumerate(others):
        form = ("NFC", "NFD")[number % 2]
        each.rename(each.with_name(unicodedata.normalize(form, "Ménage")))
    assert sorted(load(name, tree).classes)[0] == "Ménage"
    assert len(load(name, tree).classes) == 2


@pytest.mark.parametrize("name", OWN, indirect=True)
def test_a_class_whose_name_is_not_utf8_is_refused(name, tree):
    folder = _folder(name, tree)
    for each in [each for each in tree.rglob(folder.name) if each.is_dir()]:
        each.rename(each.with_name(os.fsdecode(b"caf\xe9")))
    with pytest.raises(UserError, match=r"caf\\xe9 in .* is not UTF-8.*rename it"):
        load(name, tree)


def _files(root):
    return [(path, path.relative_to(root).as_posix()) for path in sorted(root.rglob("*")) if path.is_file()]


def _zip(root, times=1, slash="/", extra=()):
    target = root.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of repeated entries
        for _ in range(times):
            for path, file in _files(root):
                entry = zipfile.ZipInfo(file)
                entry.filename = file.replace("/", slash)  # the constructor would mend it
                archive.writestr(entry, path.read_bytes())
        for file, content in extra:
            archive.writestr(file, content)
    return target


def test_repeated_entries_count_once(name, tree):
    plain, _ = _read(name, _zip(tree))
    _check(name, plain, _zip(tree, times=3), "under another name already")


def test_backslashes_of_windows_are_read(name, tree):
    plain, _ = _read(name, _zip(tree))
    _check(name, plain, _zip(tree, slash="\\"))


def test_what_macos_packs_besides_is_ignored(name, tree):
    plain, _ = _read(name, _zip(tree))
    extra = [(f"__MACOSX/{Path(file).parent}/._{Path(file).name}", b"x") for _, file in _files(tree)[:3]]
    told = () if name == "eurosat" else ("hidden pictures",)  # it is not in the folder that torchvision looks into
    _check(name, plain, _zip(tree, extra=extra), *told)


def test_zips_of_zips_are_named(name, tree, tmp_path):
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(_zip(tree), "inner.zip")
    with pytest.raises(UserError) as caught:
        load(name, outer)
    assert name == "eurosat" or "unpack them first" in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "method", "cause"), [(1, 0, "is encrypted"), (0, 9, "Deflate64"), (0, 99, "is encrypted")]
)
def test_zips_that_cannot_be_unpacked_name_the_cause(name, tree, flag, method, cause):
    path = _zip(tree)
    data = bytearray(path.read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(magic)
        while start >= 0:
            data[start + place] |= flag
            data[start + place + 2] = method
            start = data.find(magic, start + 4)
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{cause}.*unpack it"):
        load(name, path)


@pytest.mark.parametrize("name", [each for each in WRITERS if each != "imagenet"], indirect=True)  # read in any order
def test_tar_files_are_read_as_their_folders(name, tree):
    plain, _ = _read(name, _zip(tree))
    with tarfile.open(tree.with_suffix(".tar"), "w") as archive:
        archive.add(tree, ".")
    _check(name, plain, tree.with_suffix(".tar"))

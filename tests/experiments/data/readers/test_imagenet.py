import shutil

import numpy
import pytest
from photo_trees import WNIDS, write_photographs
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.imagenet import IMAGENET
from binorm.experiments.data.samples import write_samples

SOLUTION = "LOC_val_solution.csv"


def _read(images, seed=None):
    return {picture.name: (picture.read(), picture.label) for picture in images.pictures(seed)}


def _labelled_bytes(folder):
    """Of the evaluation set, by file name."""
    return {name.rpartition("/")[2]: each for name, each in _read(IMAGENET.load(folder).evaluation["val"]).items()}


def _flatten(folder, omit=0):
    """Turn ``val`` into the published flat folder; returns the rows of the solution file."""
    rows = []
    for path in sorted(folder.glob("val/*/*.JPEG")):
        rows.append(f"{path.stem},{path.parent.name} 1 2 30 40 {path.parent.name} 5 6 7 8")
        path.rename(folder / "val" / path.name)
    for wnid in WNIDS:
        (folder / "val" / wnid).rmdir()
    return "\n".join(["ImageId,PredictionString", *rows[omit:]]) + "\n"


@pytest.mark.parametrize("below", [".", "ILSVRC/Data/CLS-LOC"])
def test_reads_the_published_folder_at_any_depth(tmp_path, below):
    written = write_photographs(tmp_path / below)
    (tmp_path / below / "train" / WNIDS[0] / "._hidden.JPEG").write_bytes(b"not a picture")
    annotation = tmp_path / "ILSVRC/Annotations/CLS-LOC/train" / WNIDS[0] / "1.xml"
    annotation.parent.mkdir(parents=True)
    annotation.write_text("")
    data = IMAGENET.load(tmp_path, 224)
    assert data.classes == WNIDS
    assert (len(data.train), len(data.evaluation["val"])) == (24, 9)
    prefix = "" if below == "." else f"{below}/"
    found = _read(data.train) | _read(data.evaluation["val"])
    assert found == {prefix + name: (content, WNIDS.index(name.split("/")[1])) for name, content in written.items()}


def test_reads_a_zip_of_the_folder(tmp_path):
    written = write_photographs(tmp_path / "tree")
    path = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "tree")
    assert {f"tree/{name}" for name in written if name.startswith("val")} == _read(
        IMAGENET.load(tmp_path / "packed.zip").evaluation["val"]
    ).keys(), path


def test_splits_behind_links_are_found(tmp_path):
    write_photographs(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    for split in ("train", "val"):
        (tmp_path / "data" / split).symlink_to(tmp_path / "elsewhere" / split)
    assert len(IMAGENET.load(tmp_path / "data").train) == 24


def test_a_seed_is_an_order_and_no_seed_that_of_the_names(tmp_path):
    write_photographs(tmp_path)
    train = IMAGENET.load(tmp_path).train
    orders = [[picture.name for picture in train.pictures(seed)] for seed in (None, 0, 0, 1)]
    assert orders[0] == sorted(orders[0])
    assert orders[1] == orders[2]
    assert orders[1] != orders[3] != orders[0] != orders[1]
    assert sorted(orders[1]) == orders[0]


def test_the_flat_published_evaluation_set_is_sorted_by_its_solution_file(tmp_path):
    write_photographs(tmp_path / "Data")
    before = _labelled_bytes(tmp_path)
    (tmp_path / SOLUTION).write_text(_flatten(tmp_path / "Data"))
    assert _labelled_bytes(tmp_path) == before


def test_a_flat_evaluation_set_alone_is_an_error_that_says_what_to_do(tmp_path):
    write_photographs(tmp_path)
    _flatten(tmp_path)
    with pytest.raises(UserError, match=r"such as val/ILSVRC2012_val_00000000\.JPEG: .* put LOC_val_solution\.csv"):
        IMAGENET.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: "\n".join(rows.splitlines()[:-1]), "does not name the class of val/ILSVRC2012_val_00000008"),
        (lambda rows: rows.replace("PredictionString", "Answer"), "should have the columns ImageId and Pred"),
        (lambda rows: rows.replace(",", ";"), "should have the columns"),
        (lambda rows: "", "does not name the class"),
    ],
)
def test_a_solution_file_that_does_not_fit_is_an_error(tmp_path, change, message):
    write_photographs(tmp_path)
    (tmp_path / SOLUTION).write_text(change(_flatten(tmp_path)))
    with pytest.raises(UserError, match=message):
        IMAGENET.load(tmp_path)


def test_other_classes_in_val_are_named(tmp_path):
    write_photographs(tmp_path)
    (tmp_path / "val" / WNIDS[1]).rename(tmp_path / "val" / "n09999999")
    with pytest.raises(UserError, match="n01443537 only in train and n09999999 only in val"):
        IMAGENET.load(tmp_path)


def test_a_picture_beside_the_class_folders_is_named(tmp_path):
    write_photographs(tmp_path)
    shutil.copy(tmp_path / "train" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG", tmp_path / "train" / "lost.JPEG")
    with pytest.raises(UserError, match=r"train/lost\.JPEG .* outside the class folders"):
        IMAGENET.load(tmp_path)


def test_two_data_sets_below_one_place_are_named(tmp_path):
    write_photographs(tmp_path / "a")
    write_photographs(tmp_path / "b")
    with pytest.raises(UserError, match="several folders train, in a, b"):
        IMAGENET.load(tmp_path)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: None, "there is no data at"),
        (lambda path: path.mkdir(), r"no pictures in .* expected: train/<class>/<picture>\.JPEG"),
        (lambda path: path.write_bytes(b"x" * 100), "neither a folder nor a zip or tar file"),
    ],
)
def test_something_else_is_an_error(tmp_path, prepare, message):
    prepare(tmp_path / "data")
    with pytest.raises(UserError, match=message):
        IMAGENET.load(tmp_path / "data")


def test_samples_show_a_column_a_class_and_black_for_what_cannot_be_decoded(tmp_path):
    write_photographs(tmp_path / "data", val=2)
    (tmp_path / "data" / "train" / WNIDS[1] / f"{WNIDS[1]}_0.JPEG").write_bytes(b"broken")
    write_samples(tmp_path / "samples", IMAGENET.load(tmp_path / "data"))
    train, val = (numpy.asarray(Image.open(tmp_path / "samples" / f"{name}.png")) for name in ("train", "val"))
    assert train.shape == val.shape == (3 * 128, 3 * 128, 3)
    black = [[not part.any() for part in numpy.split(row, 3, 1)] for row in numpy.split(train, 3)]
    assert black == [[False, True, False], [False] * 3, [False] * 3]
    assert not val[256:].any()
    assert val[:256].reshape(2, 128, 3, 128, 3).any((1, 3, 4)).all()

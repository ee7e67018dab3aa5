import pytest
from tiny_classifiers import classifier, write_tree

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.held_out import short_names, subjects


def names(photographs):
    return set(photographs.names)


def test_pictures_to_calibrate_with_are_left_out_of_the_test(tmp_path):
    tree = write_tree(tmp_path / "photos")
    (found,), words, _ = subjects([("a", classifier())], tree, None, 5, 0)
    assert len(found.pool) == 5
    assert len(found.test) == 7
    assert not names(found.pool) & names(found.test)
    assert "5 of the pictures of" in words
    assert "left out of the test" in words
    (again,), _, _ = subjects([("a", classifier(seed=1))], tree, None, 5, 0)
    assert again.pool.names == found.pool.names


def test_the_test_has_as_many_pictures_as_asked_for(tmp_path):
    (found,), _, _ = subjects([("a", classifier())], write_tree(tmp_path / "photos"), None, 4, 6)
    assert (len(found.pool), len(found.test)) == (4, 6)


def test_without_methods_that_calibrate_all_are_tested(tmp_path):
    (found,), words, _ = subjects([("a", classifier())], write_tree(tmp_path / "photos"), None, 0, 0)
    assert found.pool is None
    assert len(found.test) == 12
    assert words == "none"


def test_pictures_that_are_in_both_folders_are_told(tmp_path):
    tree = write_tree(tmp_path / "photos")
    (found,), _, remarks = subjects([("a", classifier())], tree, tree / "cat", 4, 0)
    assert (len(found.pool), len(found.test)) == (4, 12)
    assert remarks == ["4 of the 12 test pictures are, pixel for pixel, among the 4 to calibrate with"]
    _, _, remarks = subjects([("a", classifier())], tree, write_tree(tmp_path / "others", seed=1), 4, 0)
    assert remarks == []


def test_broken_pictures_are_told(tmp_path):
    tree = write_tree(tmp_path / "photos")
    (tree / "cat/broken.png").write_bytes(b"x")
    _, _, remarks = subjects([("a", classifier())], tree, None, 0, 0)
    assert "cat/broken.png" in remarks[0]


def test_too_few_and_unlabelled_pictures_are_refused(tmp_path):
    tree = write_tree(tmp_path / "photos")
    with pytest.raises(UserError, match="has 12 pictures: too few to calibrate with 11 and to test on others"):
        subjects([("a", classifier())], tree, None, 11, 0)
    with pytest.raises(UserError, match="has 4 pictures: expected at least the 5 of --calibration-pictures"):
        subjects([("a", classifier())], tree, tree / "cat", 5, 0)
    (tree / "cat").rename(tree / "more")
    with pytest.raises(UserError, match="more"):
        subjects([("a", classifier())], tree, None, 0, 0)


def test_models_are_called_by_what_tells_them_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("runs/bn/seed0", "runs/bin/seed0", "one", "two"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "model.safetensors").touch()
    (tmp_path / "one/mine.safetensors").touch()
    (tmp_path / "two/mine.safetensors").touch()
    assert short_names(["efficientnet-lite0", "one/mine.safetensors"]) == ["efficientnet-lite0", "mine"]
    assert short_names(["one/mine.safetensors", "two/mine.safetensors"]) == ["one/mine", "two/mine"]
    assert short_names(["runs/bn/seed0", "runs/bin/seed0/model.safetensors"]) == ["bn/seed0", "bin/seed0"]
    assert short_names(["one/model.safetensors", "timm:resnet18"]) == ["one", "timm:resnet18"]
    with pytest.raises(UserError, match="named twice"):
        short_names(["one", "one"])

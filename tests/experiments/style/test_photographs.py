import zipfile

import pytest
import tiny_style
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.training.photographs import PhotographBatches, find_photographs


@pytest.fixture
def folder(tmp_path):
    return tiny_style.write_photographs(tmp_path / "photos" / "some" / "where").parent.parent


def _batches(photographs, folder, seed=0, **changes):
    return PhotographBatches(photographs, tiny_style.recipe(folder / "recipe", **changes), seed)


def test_parts_have_the_recipes_shape_and_range(folder, tmp_path):
    batches = list(_batches(find_photographs(folder), tmp_path, period=3, steps=3))
    assert [tuple(batch.shape) for batch in batches] == [(2, 3, 32, 32)] * 3
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch in batches)
    whole = torch.cat(batches)
    assert 0 <= whole.min() < 0.3
    assert 0.7 < whole.max() <= 1


def test_a_period_is_the_same_again_and_another_is_not(folder, tmp_path):
    batches = _batches(find_photographs(folder), tmp_path)
    first = list(batches)
    batches.set_period(1)
    second = list(batches)
    batches.set_period(0)
    assert all(torch.equal(*pair) for pair in zip(first, batches, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_another_seed_gives_another_order(folder, tmp_path):
    photographs = find_photographs(folder)
    zero, one = (torch.cat(list(_batches(photographs, tmp_path, seed))) for seed in (0, 1))
    assert not torch.equal(zero, one)


def test_a_pass_takes_each_photograph_once(folder, tmp_path, monkeypatch):
    photographs = find_photographs(folder)
    read, bytes_of = [], photographs.read
    monkeypatch.setattr(type(photographs), "read", lambda self, name: read.append(name) or bytes_of(name))
    list(_batches(photographs, tmp_path, period=6, steps=6))
    assert sorted(read[:6]) == sorted(photographs.names) == sorted(read[6:])


def test_a_zip_gives_what_its_folder_gives(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            archive.write(path, path.relative_to(folder))
    from_zip = _batches(find_photographs(tmp_path / "photos.zip"), tmp_path)
    for pair in zip(from_zip, _batches(find_photographs(folder), tmp_path), strict=True):
        assert torch.equal(*pair)


def test_broken_photographs_are_replaced_and_named(folder, tmp_path):
    (folder / "some" / "where" / "photo2.jpg").write_bytes(b"no picture")
    batches = _batches(find_photographs(folder), tmp_path, period=6, steps=6)
    assert len(list(batches)) == 6
    assert batches.skipped == ("some/where/photo2.jpg",)


def test_photographs_smaller_than_a_part_are_enlarged(tmp_path):
    folder = tiny_style.write_photographs(tmp_path / "small", count=2, size=(9, 200))
    assert next(iter(_batches(find_photographs(folder), tmp_path))).shape == (2, 3, 32, 32)


def test_what_is_no_photograph_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match="--data FOLDER"):
        find_photographs(None)
    with pytest.raises(UserError, match="there is no data at"):
        find_photographs(tmp_path / "absent")
    with pytest.raises(UserError, match="there are no pictures in"):
        find_photographs(tmp_path / "empty")
    with pytest.raises(UserError, match="none of the 1 photographs"):
        list(_batches(find_photographs(tmp_path / "broken"), tmp_path))

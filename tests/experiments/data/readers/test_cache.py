import threading

import pytest
import torch

from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.readers.cache import VERSION, cache_folder, cached
from binorm.experiments.data.readers.image_folder import DecodedSplit


def _splits():
    images = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).view(2, 4, 4, 3)
    return {"train": DecodedSplit(ImageSet(images, torch.tensor([0, 1])), ("a broken one.png",))}


def test_damaged_cache_is_read_anew_and_mended():
    cached("key", _splits)
    file = cache_folder() / f"key-{VERSION}.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert torch.equal(cached("key", _splits)["train"].images.images, _splits()["train"].images.images)
    assert file.read_bytes() == whole


def test_crash_while_reading_leaves_no_cache():
    def crash():
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        cached("key", crash)
    assert not (cache_folder() / f"key-{VERSION}.safetensors").exists()
    assert cached("key", _splits)["train"].skipped == ("a broken one.png",)


def test_two_runs_at_once_both_get_their_pictures():
    together = threading.Barrier(2, timeout=30)

    def read():
        together.wait()  # neither finds the other's file
        return _splits()

    results = []
    threads = [threading.Thread(target=lambda: results.append(cached("key", read))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert torch.equal(results[0]["train"].images.images, results[1]["train"].images.images)
    assert [path.name for path in cache_folder().iterdir()] == [f"key-{VERSION}.safetensors"]


def test_unwritable_cache_costs_a_warning_only(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BINORM_CACHE", str(tmp_path / "file" / "below a file"))
    with pytest.warns(UserWarning, match="not cached"):
        assert "train" in cached("key", _splits)

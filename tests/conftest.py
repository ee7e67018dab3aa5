import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the user's cache of decoded pictures."""
    monkeypatch.setenv("BINORM_CACHE", str(tmp_path_factory.mktemp("cache")))

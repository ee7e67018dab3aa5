"""What holds for tests of the experiments: data sets as small as tests make them."""

import pytest

from binorm.experiments.data import catalog


@pytest.fixture(autouse=True)
def few_classes(request, monkeypatch):
    """Published sets made by tests have few of their classes; a test of ``class_counts`` has them counted."""
    if "class_counts" not in request.fixturenames:
        monkeypatch.setattr(catalog, "check_classes", lambda *args: None)


@pytest.fixture
def class_counts():
    """The classes of published sets are counted, as for users."""

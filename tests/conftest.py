"""What holds for all tests: where they compute, a cache of their own, and the skipped ones by reason."""

import os
from collections import Counter

import pytest

# The tests are the same everywhere: on the CPU, with Triton's kernels in its interpreter, which it asks for at their
# import. CUDA_VISIBLE_DEVICES=0 TRITON_INTERPRET=0 in front of the command runs what may run there on a GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the user's cache of decoded pictures."""
    monkeypatch.setenv("BINORM_CACHE", str(tmp_path_factory.mktemp("cache")))


def pytest_terminal_summary(terminalreporter):
    """One line a reason: how many tests were skipped for it."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    if reasons:
        terminalreporter.section("skipped tests by reason")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:4}  {reason}")

import threading
from contextlib import closing

import pytest

from binorm.experiments.common.threads import in_threads


def _ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("binorm")]


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_order(threads):
    assert list(in_threads(lambda x: x * x, range(100), threads, 7)) == [x * x for x in range(100)]
    assert not _ours()


def test_an_error_comes_at_its_turn_and_leaves_no_thread():
    results = in_threads(lambda x: 1 // (3 - x), range(10), 2, 4)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not _ours()


def test_an_error_of_the_source_comes_after_what_it_gave():
    def source():
        yield 1
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        list(in_threads(str, source(), 2, 2))
    assert not _ours()


def test_leaving_early_stops_all_and_the_source_was_not_read_far_ahead():
    taken = []

    def source():
        for x in range(1000):
            taken.append(x)
            yield x

    with closing(in_threads(str, source(), 2, 10)) as results:
        assert next(results) == "0"
        assert _ours()
    assert not _ours()
    assert len(taken) <= 30

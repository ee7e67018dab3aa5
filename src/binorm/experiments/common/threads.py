"""A function applied to a stream in threads, in order, never far ahead of who takes the results."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int) -> Generator[R, None, None]:
    """``function(item)`` for each item, in the order of the items; an error appears at its item's turn.

    Close the iterator to leave early: what has not begun is dropped, and no thread is left.

    Args:
        function: called in the threads.
        items: taken in yet another thread, so that reading them does not hold up the caller.
        threads: how many call ``function`` at once.
        ahead: how many results may wait.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="binorm")
    waiting: deque[Future[R]] = deque()
    try:
        with closing(_read_ahead(items, max(1, ahead // 2))) as source:
            for item in source:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read_ahead(items: Iterable[T], chunk: int) -> Generator[T, None, None]:
    """The same items; while one chunk is handed out, a thread takes the next."""
    source = iter(items)

    def take() -> list[T]:
        return list(islice(source, chunk))

    with ThreadPoolExecutor(1, thread_name_prefix="binorm-reader") as reader:
        coming = reader.submit(take)
        while taken := coming.result():
            coming = reader.submit(take)
            yield from taken

"""Shifts of many pictures at once, by as many processes as there are cores."""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.shifts.catalog import SEVERITIES, Shift

_CHUNK_VALUES = 16 * 3 * 224 * 224  # of what a process gets at once: a second of the slowest shift
_WORTH_PROCESSES = 128 * 3 * 224 * 224  # another process takes some seconds to import PyTorch and compile glass blur

Chunk = NDArray[np.uint8]

_stop: Event | None = None  # in a process of `Shifting`: set when nobody waits for its pictures any more


def turn_severities(count: int, place: int) -> Tensor:
    """Severities of "turns", each picture once a shift: 1 + (i + place) mod 5 for picture i, int64 (count,).

    Args:
        count: of the pictures.
        place: of the shift among the shifts, so that a picture's severity differs from shift to shift.
    """
    return 1 + (torch.arange(count) + place) % len(SEVERITIES)


class Shifting:
    """Applies shifts to batches; a context that keeps its processes from batch to batch.

    The processes start with the first batch that is worth it, hold a few chunks of pictures at a time, and end with the
    context, also on an error or a signal. A result is the same whatever their number.

    Args:
        processes: how many at once; 1 works in this process.
    """

    def __init__(self, processes: int) -> None:
        if processes < 1:
            raise UserError(f"processes is {processes}: expected 1 or more")
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._context = get_context("spawn")  # PyTorch's threads do not survive a fork
        self._given_up = self._context.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._given_up.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __call__(self, shift: Shift, pictures: Tensor, severity: int | Tensor) -> Tensor:
        """The pictures after the shift, in their order.

        Args:
            shift: one of `SHIFTS`, or any whose ``apply`` can be pickled.
            pictures: uint8 (N, 3, H, W).
            severity: 1 to 5, of all pictures, or int64 (N,) of each (`turn_severities`).

        Returns:
            Uint8 (N, 3, H, W), in memory of its own.

        Raises:
            UserError: as of `Shift`; for pictures or severities of another shape; if a process was killed.
        """
        severities = _severities(pictures, severity)
        shifted = torch.empty_like(pictures, memory_format=torch.contiguous_format)
        for part, values in self._chunks(shift, pictures, severities):
            shifted[part] = torch.from_numpy(values).permute(0, 3, 1, 2)
        return shifted

    def _chunks(self, shift: Shift, pictures: Tensor, severities: NDArray[np.int64]) -> Iterator[tuple[slice, Chunk]]:
        size = max(1, _CHUNK_VALUES // max(1, pictures[:1].numel()))
        parts = [slice(start, start + size) for start in range(0, len(pictures), size)]
        if self.processes == 1 or (self._pool is None and pictures.numel() < _WORTH_PROCESSES):
            for part in parts:
                yield part, _apply(shift, _as_numpy(pictures[part]), severities[part])
            return
        pool = self._started()
        waiting: deque[tuple[slice, Future[Chunk]]] = deque()
        try:
            for part in parts:
                waiting.append((part, pool.submit(_apply, shift, _as_numpy(pictures[part]), severities[part])))
                if len(waiting) > 2 * self.processes:
                    yield _result(waiting)
            while waiting:
                yield _result(waiting)
        except BrokenProcessPool as error:
            self._pool = None
            raise UserError(
                f"a process that applies the shift {shift.name} was killed, maybe for want of memory, or could not "
                "start: try fewer processes, or 1"
            ) from error
        finally:
            for _, future in waiting:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._given_up.clear()
            self._pool = ProcessPoolExecutor(
                self.processes, mp_context=self._context, initializer=_follow_parent, initargs=(self._given_up,)
            )
        return self._pool


def _result(waiting: deque[tuple[slice, Future[Chunk]]]) -> tuple[slice, Chunk]:
    part, future = waiting.popleft()
    return part, future.result()


def _apply(shift: Shift, pictures: Chunk, severities: NDArray[np.int64]) -> Chunk:
    """A chunk, (N, H, W, 3) in and out."""
    shifted = np.empty_like(pictures)
    for place, severity in enumerate(severities.tolist()):
        if _stop is not None and _stop.is_set():
            raise CancelledError
        shifted[place] = shift(pictures[place], severity)
    return shifted


def _as_numpy(pictures: Tensor) -> Chunk:
    """Tensor (N, 3, H, W) as contiguous (N, H, W, 3)."""
    values: Chunk = pictures.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return values


def _severities(pictures: Tensor, severity: int | Tensor) -> NDArray[np.int64]:
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
        raise UserError(f"got {pictures.dtype} {tuple(pictures.shape)}: expected pictures, torch.uint8 (N, 3, H, W)")
    if isinstance(severity, int):
        return np.full(len(pictures), severity)
    if severity.shape != (len(pictures),):
        raise UserError(f"got severities {tuple(severity.shape)} for {len(pictures)} pictures: expected one of each")
    values: NDArray[np.int64] = severity.cpu().numpy()
    return values


def _follow_parent(stop: Event) -> None:
    """In each process: Ctrl-C is for the parent to handle, and when that is gone, however it went, this goes too."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)

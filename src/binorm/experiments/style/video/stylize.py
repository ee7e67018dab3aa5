"""A video drawn anew in a style, frame by frame: decoding, network and encoding at the same time."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import replacing
from binorm.experiments.common.threads import in_threads
from binorm.experiments.style.video.consistency import Flicker, Pixels, Steadying
from binorm.experiments.style.video.reader import Step, VideoReader
from binorm.experiments.style.video.writer import VideoWriter, check_target

AHEAD = 3  # frames that may wait for the network, and for the encoder; of 50 megapixels each takes 150 MB


@dataclass(frozen=True)
class VideoFacts:
    """What came of a video."""

    frames: int
    seconds: float  # of work
    width: int  # one pixel less than the old video's, as may be the height, where the encoder needs even sizes
    height: int
    frames_per_second: float  # of work
    flicker: float  # see `Flicker`
    warnings: tuple[str, ...] = ()  # what its user should know, in sentences without the video's name


def stylize_video(
    source: Path,
    target: Path,
    stylizer: Callable[[Pixels, float], Pixels],
    strength: float = 1.0,
    consistency: float = 0.0,
    progress: Callable[[int, int | None], None] | None = None,
) -> VideoFacts:
    """Draw every frame of a video anew; times of frames, sound, subtitles, data and chapters stay as they are.

    The video is turned upright, deinterlaced, and drawn over white where it is transparent; it is H.264 (``.mp4``,
    ``.mov``, ``.mkv``) or VP9 (``.webm``), and is put in place when it is whole. Other streams are copied, not encoded
    anew. ``consistency``, in [0, 1], is that of `Steadying`;
    ``progress`` is called after each frame with how many are done, and how many there probably are.

    Raises:
        UserError: if the source is no whole video of a reasonable size and of ordinary colours, its sound does not fit
            into the target's container, or the target cannot be written.
    """
    if not 0.0 <= consistency <= 1.0:
        raise UserError(f"consistency should be in [0, 1] (got {consistency})")
    check_target(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise UserError(f"the new video would replace the old one, {source}: give it another name")
    start = time.perf_counter()
    with VideoReader(source) as reader, replacing(target) as file:
        output = _Output(file, target, reader, consistency)
        with closing(in_threads(reader.to_rgb, reader.decoded(), 1, AHEAD)) as steps, closing(output):
            for done in _stylized(steps, stylizer, strength, output):
                if progress is not None:
                    progress(done, reader.frames)
            written = output.finish()
    seconds = time.perf_counter() - start
    warnings = tuple(reader.remarks.sentences(output.frames, output.shown)) + tuple(written.remarks())
    return VideoFacts(output.frames, seconds, *written.size, output.frames / seconds, output.flicker.levels, warnings)


def _stylized(
    steps: Iterable[Step], stylizer: Callable[[Pixels, float], Pixels], strength: float, output: "_Output"
) -> Iterator[int]:
    """Run the network here and ``output`` in a thread behind it; yields how many frames are written."""
    waiting: deque[Future[int]] = deque()
    behind = ThreadPoolExecutor(1, thread_name_prefix="binorm-encoder")
    try:
        for step in steps:
            stylized = None if step.frame is None else stylizer(step.frame.pixels, strength)
            waiting.append(behind.submit(output.take, step, stylized))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        behind.shutdown(wait=True, cancel_futures=True)


class _Output:
    """What happens to a stylized frame: it is steadied, its flicker is measured, and it is encoded."""

    def __init__(self, file: BinaryIO, target: Path, reader: VideoReader, consistency: float) -> None:
        self._file, self._target, self._reader = file, target, reader
        self._steadying = Steadying(consistency)
        self._writer: VideoWriter | None = None
        self.flicker = Flicker()
        self.frames = 0
        self.shown = 0.0  # seconds of film so far
        self._first: int | None = None

    def take(self, step: Step, stylized: Pixels | None) -> int:
        """Write a step; returns how many frames there are now."""
        if self._writer is None:
            assert self._reader.form is not None  # noqa: S101 - the reader yields a frame first, or raises
            self._writer = VideoWriter(self._file, self._target, self._reader, self._reader.form)
        self._writer.copy(step.packets)
        if step.frame is not None and stylized is not None:
            shown = self._steadying(step.frame.pixels, stylized)
            self.flicker.add(step.frame.pixels, shown)
            self._writer.write(replace(step.frame, pixels=shown))
            self.frames += 1
            self._first = step.frame.time if self._first is None else self._first
            self.shown = float((step.frame.time + step.frame.duration - self._first) * self._reader.time_base)
        return self.frames

    def finish(self) -> VideoWriter:
        """Complete the file; returns who wrote it."""
        assert self._writer is not None  # noqa: S101 - as above
        self._writer.finish()
        return self._writer

    def close(self) -> None:
        """Let go of the file, whole or not."""
        if self._writer is not None:
            self._writer.abandon()

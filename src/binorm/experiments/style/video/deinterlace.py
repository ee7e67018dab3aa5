"""Interlaced frames, of which every second line is of another moment, as whole ones."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av


class Deinterlacer:
    """Passes frames on, from the first interlaced one on through FFmpeg's bwdif: a frame for a frame.

    ``count`` is how many frames were interlaced. Frames come out one later than they went in, with times in a time base
    of their own.
    """

    def __init__(self, time_base: Fraction) -> None:
        self.count = 0
        self._time_base = time_base
        self._graph: Any = None
        self._form: object = None

    def __call__(self, frame: "av.VideoFrame") -> "list[av.VideoFrame]":
        """Frames that are ready when this one is there."""
        self.count += frame.interlaced_frame
        form = frame.width, frame.height, frame.format.name
        ready = []
        if self._graph is not None and form != self._form:
            ready = self.finish()
        if self._graph is None:
            if not frame.interlaced_frame or frame.pts is None:
                return [*ready, frame]
            self._start(frame)
            self._form = form
        self._graph.vpush(frame)
        return [*ready, *self._pull()]

    def finish(self) -> "list[av.VideoFrame]":
        """The frames that are left."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        ready = self._pull()
        self._graph = None
        return ready

    def _start(self, frame: "av.VideoFrame") -> None:
        import av

        self._graph = graph = av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or self._time_base
        )
        graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
        graph.configure()

    def _pull(self) -> "list[av.VideoFrame]":
        import av

        ready: list[Any] = []
        while True:
            try:
                ready.append(self._graph.vpull())
            except (av.BlockingIOError, av.EOFError):
                return ready

"""Times of broadcasts and discs, which begin anew where two recordings meet, as those of one film."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

BACK = 0.1  # seconds that times may go back: they are those of decoding, and rounded
AHEAD = 10.0  # seconds that may be missing; more is another recording


class Timeline:
    """Shifts the times of packets so that they go on where they jump, in all streams by the same.

    The first stream that jumps says by how much; others follow when they come to the same place. ``jumps`` counts the
    places.
    """

    def __init__(self) -> None:
        self._shifts = [0.0]  # seconds, from jump to jump
        self._places: dict[int, int] = {}  # by stream, how many jumps are behind it
        self._expected: dict[int, float] = {}  # by stream, when the next packet should be

    @property
    def jumps(self) -> int:
        """How often times begin anew."""
        return len(self._shifts) - 1

    def shift(self, packet: "av.Packet[Any]") -> None:
        """Change the times of a packet."""
        if packet.dts is None or packet.time_base is None:
            return
        time, duration = (float((each or 0) * packet.time_base) for each in (packet.dts, packet.duration))
        is_dense = packet.stream.type in ("video", "audio")  # others may come at any time
        shift = self._shift(packet.stream.index, time, duration) if is_dense else self._shifts[-1]
        ticks = round(shift / packet.time_base)
        packet.dts += ticks
        if packet.pts is not None:
            packet.pts += ticks

    def _shift(self, stream: int, time: float, duration: float) -> float:
        """Seconds by which a packet of a stream is to be shifted."""
        place, expected = self._places.get(stream, 0), self._expected.get(stream)
        if expected is not None and not expected - BACK <= time + self._shifts[place] <= expected + AHEAD:
            place += 1
            if place == len(self._shifts):
                self._shifts.append(expected - time)
            self._places[stream] = place
        self._expected[stream] = time + self._shifts[place] + duration
        return self._shifts[place]

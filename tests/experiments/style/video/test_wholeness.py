import io
import random
import struct

import pytest
from video_containers import CONTAINERS, write_container

from binorm.experiments.style.video.wholeness import extent_of

SHARES = (0.5, 0.93, 0.99)
BROADCASTS = {"ts", "m2ts", "mpg", "vob"}  # end anywhere
OPEN = {"fragments of a stream", "mkv live", "flv live"}  # say nothing of their end
ENDS_WITH_AN_INDEX = {"fragmented", "mkv", "mkv short clusters", "webm", "avi", "flv", "flv live", "wmv"}


def _extent(data):
    return extent_of(io.BytesIO(data))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The content of each whole file, by the container's name."""
    folder, contents = tmp_path_factory.mktemp("whole"), {}

    def content(name):
        if name not in contents:
            contents[name] = write_container(folder / f"film{CONTAINERS[name][0]}", name).read_bytes()
        return contents[name]

    return content


@pytest.mark.parametrize("name", CONTAINERS)
def test_whole_files_raise_no_alarm(whole, name):
    extent = _extent(whole(name))
    assert extent.whole is (None if name in OPEN else True)
    assert bool(extent.reason) == (name in OPEN)
    assert extent.endless == (name in BROADCASTS)
    assert not extent.encrypted


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", sorted(set(CONTAINERS) - BROADCASTS))
def test_cut_files_are_known(whole, name, share):
    extent = _extent(whole(name)[: int(len(whole(name)) * share)])
    # The last hundredth is an index, without which all frames are there.
    assert extent.whole is (None if share == 0.99 and name in {"fragmented", "avi"} else False)
    assert extent.reason


@pytest.mark.parametrize("name", sorted(set(CONTAINERS) - BROADCASTS))
def test_one_missing_byte_is_known(whole, name):
    extent = _extent(whole(name)[:-1])
    assert extent.whole is (None if name in ENDS_WITH_AN_INDEX else False)
    assert "lacks 1 byte" in extent.reason or "is missing" in extent.reason


@pytest.mark.parametrize("name", sorted(BROADCASTS))
def test_broadcasts_are_cut_within_a_packet_alone(whole, name):
    data = whole(name)
    packet = {"ts": 188, "m2ts": 192}.get(name, 2048)
    half = data[: len(data) // 2 // packet * packet]
    assert _extent(half).whole is True or name == "vob"  # whose packets need not end with the sector
    for cut in (data[:-1], half[:-7]):
        assert _extent(cut).whole is None
        assert "its last packet" in _extent(cut).reason


def test_a_file_cut_between_two_parts_is_not_whole(whole):
    data = whole("fragmented")
    fragments = [at - 4 for at in range(len(data)) if data[at : at + 4] == b"moof"]
    extent = _extent(data[: fragments[-2]])  # as whole as such a file can be
    assert extent.whole is None
    assert "no index" in extent.reason
    extent = _extent(data[: data.index(b"mdat", fragments[-2]) - 4])
    assert extent.whole is False
    assert "no samples" in extent.reason
    data = whole("dash")
    extent = _extent(data[: data.rindex(b"moof") - 4])
    assert extent.whole is False
    assert "its segment index lacks" in extent.reason
    data = whole("mkv short clusters")
    extent = _extent(data[: data.rindex(b"\x1f\x43\xb6\x75")])
    assert extent.whole is False
    assert "its segment lacks" in extent.reason
    data = whole("flv")
    last = len(data) - 4 - struct.unpack(">I", data[-4:])[0]
    extent = _extent(data[:last])
    assert extent.whole is False
    assert "the size that it states" in extent.reason


def test_what_lies_behind_a_whole_file_does_no_harm(whole):
    for name in ("mp4", "mp4 faststart", "fragmented", "mov", "mkv", "webm", "avi", "wmv", "gif"):
        assert _extent(whole(name) + bytes(3000)).whole is True, name
    assert _extent(whole("mp4") + b"\xff\x00" * 50).whole is True
    assert _extent(whole("mkv") + b"\xff\x00" * 50).whole is True


def test_an_index_that_cannot_be_read_leaves_the_sizes_of_boxes(whole):
    data = whole("mp4 faststart")
    at = data.index(b"trak")
    compressed = data[:at].replace(b"trak", b"cmov") + data[at:].replace(b"trak", b"cmov")
    assert _extent(compressed).whole is True
    assert _extent(compressed[:-1]).whole is False


def test_samples_of_another_file_are_not_looked_for(whole):
    data = bytearray(whole("mp4 without sound"))
    at = data.index(b"url ") + 4
    data[at : at + 4] = bytes(4)  # not in this file
    table = data.index(b"stco") + 12
    data[table : table + 4] = struct.pack(">I", 1 << 30)
    assert _extent(bytes(data)).whole is True
    data[at : at + 4] = bytes([0, 0, 0, 1])
    assert _extent(bytes(data)).whole is False


@pytest.mark.parametrize("name", ["mp4", "mp4 faststart"])
def test_an_encrypted_mp4_is_known_by_its_sample_entry(whole, name):
    data = whole(name)
    at = data.index(b"avc1", data.index(b"stsd"))
    assert _extent(data[:at] + b"encv" + data[at + 4 :]).encrypted


def test_scrambled_packets_are_known(whole):
    data = bytearray(whole("ts"))
    for at in range(0, len(data), 188):
        if data[at + 1] & 0x1F or data[at + 2] > 0x20:
            data[at + 3] |= 0x80
    assert _extent(bytes(data)).encrypted
    data, at = bytearray(whole("vob")), -1
    while (at := data.find(b"\0\0\x01\xe0", at + 1)) >= 0:
        data[at + 6] |= 0x10
    assert _extent(bytes(data)).encrypted


def test_an_encrypted_matroska_is_known_by_its_tracks(whole):
    data = whole("mkv index first")
    encodings = b"\x6d\x80\x8a\x62\x40\x87\x50\x35\x84\x47\xe1\x81\x05"  # encryption by AES
    at = data.rindex(b"\x16\x54\xae\x6b")  # the first is in a table of contents
    track = data.index(b"\xae", at + 5)
    assert not _extent(data).encrypted
    # Over the beginning of the track's own content: what is behind is passed over as an unknown element.
    body = track + 1 + 9 - data[track + 1].bit_length()
    assert _extent(data[:body] + encodings + b"\xec\x80" + data[body + len(encodings) + 2 :]).encrypted


def test_other_files_say_nothing():
    for data in (b"", b"\0", b"text", random.Random(0).randbytes(1000), b"YUV4MPEG2 W64 H48 F25:1\nFRAME\n"):
        assert _extent(data).whole is None


@pytest.mark.parametrize("name", CONTAINERS)
def test_damage_anywhere_is_survived_in_bounded_time(whole, name):
    chance = random.Random(name)
    data = whole(name)
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 30)):
            damaged[chance.randrange(min(len(damaged), chance.choice((64, 2000, 1 << 20))))] = chance.choice(
                (0, 255, 1)
            )
        assert _extent(bytes(damaged[: chance.randint(1, len(damaged))])).whole in (True, False, None)


def test_impossible_sizes_are_survived():
    box = struct.Struct(">I4s")
    many = box.pack(8, b"free") * 10_000
    assert _extent(box.pack(8, b"ftyp") + many).whole is False
    endless = box.pack(1, b"mdat") + struct.pack(">Q", (1 << 64) - 1)
    assert _extent(box.pack(8, b"ftyp") + endless).whole is False
    table = box.pack(0xFFFFFFFF, b"stco") + struct.pack(">II", 0, 0xFFFFFFFF) + b"\xff" * 100
    nested = b"".join(box.pack(0, kind) for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"))
    assert _extent(box.pack(8, b"ftyp") + nested + table).whole in (True, False)
    wide = box.pack(0, b"co64") + struct.pack(">II", 0, 2) + b"\xff" * 16
    assert _extent(box.pack(8, b"ftyp") + nested + wide).whole in (True, False)

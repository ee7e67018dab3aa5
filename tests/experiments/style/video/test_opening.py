import re
import subprocess
import sys

import av
import numpy as np
import pytest
from photo_trees import encode, photograph
from video_containers import CONTAINERS, write_container

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.video.stylize import stylize_video


def unchanged(pixels, strength):
    return pixels


def _error(source):
    target = source.parent / "new.mkv"
    with pytest.raises(UserError) as caught:
        stylize_video(source, target, unchanged)
    assert not target.exists()
    assert str(source) in str(caught.value)
    return str(caught.value)


def _cut(path, name, share):
    whole = write_container(path.with_name("whole"), name).read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.mark.parametrize(
    ("name", "share", "there"),
    [
        (
            "mp4 faststart",
            0.5,
            r"it holds 1\d of 25 frames \(0.[45] of 1.0 seconds\), and the last sample of its index lacks 8,",
        ),
        ("fragmented", 0.5, r"it holds 1\d frames \(0.[456] seconds\), and its box 'mdat' lacks"),
        ("mkv", 0.93, r"it holds 2\d frames \(.* of 1.0 seconds\), and its last cluster lacks"),
        ("avi", 0.5, r"it holds \d+ of 2[56] frames \(.* of 1.0 seconds\), and its RIFF lacks"),
        ("flv", 0.5, r"it holds 1\d frames \(0.[456] of 1.\d seconds\), and its last tag lacks"),
    ],
)
def test_a_cut_video_is_refused_with_what_is_there(tmp_path, name, share, there):
    message = _error(_cut(tmp_path / f"my film{CONTAINERS[name][0]}", name, share))
    assert re.search(f"is cut off: {there}", message), message
    assert f"-i 'my film{CONTAINERS[name][0]}' -map 0 -sn -dn -c copy 'my film-rest.mkv'" in message


def test_what_the_command_keeps_of_a_cut_video_is_drawn(tmp_path):
    cut = _cut(tmp_path / "cut.mp4", "mp4 faststart", 0.5)
    with av.open(str(cut)) as old, av.open(str(tmp_path / "rest.mkv"), "w") as new:  # what that command does
        copies = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None and not packet.is_corrupt:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    facts = stylize_video(tmp_path / "rest.mkv", tmp_path / "new.mkv", unchanged)
    assert 9 < facts.frames < 20
    assert facts.warnings == ()


def test_a_cut_video_without_its_index_is_refused(tmp_path):
    message = _error(_cut(tmp_path / "film.mov", "mov", 0.5))
    assert "it is cut off, or its recording was not finished (its index, the box 'moov', is missing); get it" in message
    message = _error(_cut(tmp_path / "film.mov", "mov", 0.9))
    assert "is cut off, and holds no frame: its box 'moov' lacks" in message


@pytest.mark.parametrize(
    ("name", "cut", "reason"),
    [
        ("fragmented", 1, "its box 'mfra' lacks 1 byte"),
        ("fragments of a stream", 0, "no index that says how many there should be"),
        ("mkv live", 0, "no length, like a live recording"),
        ("ts", 10, "its last packet has 178 of 188 bytes"),
    ],
)
def test_where_the_end_is_not_certain_frames_are_counted(tmp_path, name, cut, reason):
    path = write_container(tmp_path / "film", name)
    path.write_bytes(path.read_bytes()[: -cut or None])
    facts = stylize_video(path, tmp_path / "new.mkv", unchanged)
    (warning,) = facts.warnings
    assert facts.frames == 25
    assert warning.startswith("25 frames (1.0 s) are drawn, and whether these are all cannot be told: ")
    assert warning.endswith(reason)


@pytest.mark.parametrize("name", sorted(set(CONTAINERS) - {"fragments of a stream", "mkv live", "flv live"}))
def test_whole_videos_are_drawn_without_a_word(tmp_path, name):
    path = write_container(tmp_path / f"film{CONTAINERS[name][0]}", name, length=6)
    facts = stylize_video(path, tmp_path / "new.mkv", unchanged)
    assert (facts.frames, facts.warnings) == (6, ())


@pytest.mark.parametrize("name", ["mp4", "mp4 faststart", "mkv", "avi", "flv"])
@pytest.mark.parametrize("sound_seconds", [0.1, 1.5])
def test_sound_of_another_length_raises_no_alarm(tmp_path, name, sound_seconds):
    path = write_container(tmp_path / f"film{CONTAINERS[name][0]}", name, length=8, sound_seconds=sound_seconds)
    facts = stylize_video(path, tmp_path / "new.mkv", unchanged)
    assert (facts.frames, facts.warnings) == (8, ())


@pytest.mark.parametrize("name", ["ts", "m2ts", "vob"])
def test_damage_of_broadcasts_is_said(tmp_path, name):
    data = bytearray(write_container(tmp_path / "film", name).read_bytes())
    start = len(data) * 3 // 10
    data[start : start + 6000] = bytes(6000)
    (tmp_path / "film").write_bytes(data)
    facts = stylize_video(tmp_path / "film", tmp_path / "new.mkv", unchanged)
    assert 5 < facts.frames < 25
    assert facts.warnings[0].startswith(f"{facts.frames} frames are drawn, but the video is damaged: ")


@pytest.mark.parametrize("name", ["mkv", "avi", "flv"])
def test_damage_that_would_swallow_frames_is_refused(tmp_path, name):
    data = bytearray(write_container(tmp_path / "film", name).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 1500] = bytes(1500)
    (tmp_path / "film").write_bytes(data)
    message = _error(tmp_path / "film")
    assert "is damaged: it holds " in message
    assert "at byte" in message
    assert "-c copy film-rest.mkv" in message


def test_a_broadcast_that_is_tuned_in_late_is_drawn(tmp_path):
    data = write_container(tmp_path / "film.ts", "ts", gop=10).read_bytes()
    (tmp_path / "film.ts").write_bytes(data[: 4 * 188] + data[30 * 188 :])  # tables, and the middle of a picture
    facts = stylize_video(tmp_path / "film.ts", tmp_path / "new.mkv", unchanged)
    assert 10 <= facts.frames < 25


@pytest.mark.parametrize("name", ["ts", "vob"])
def test_encrypted_videos_are_refused_with_the_cause(tmp_path, name):
    data = bytearray(write_container(tmp_path / "film", name).read_bytes())
    if name == "ts":
        for at in range(0, len(data), 188):
            data[at + 3] |= 0x80
    at = -1
    while (at := data.find(b"\0\0\x01\xe0", at + 1)) >= 0:
        data[at + 6] |= 0x10
    (tmp_path / "film").write_bytes(data)
    assert "is encrypted, and cannot be drawn without its key" in _error(tmp_path / "film")


def test_an_encrypted_mp4_is_refused_with_the_cause(tmp_path):
    data = write_container(tmp_path / "film.mp4", "mp4").read_bytes()
    (tmp_path / "film.mp4").write_bytes(data.replace(b"avc1", b"encv"))
    assert "is encrypted" in _error(tmp_path / "film.mp4")


FILES = {
    "an empty file": b"",
    "nothing but zeros": bytes(10_000),
    "a PNG picture": encode(photograph(1, (8, 8)), "PNG"),
    "a JPEG picture": encode(photograph(1, (8, 8))),
    "a WebP picture": encode(photograph(1, (8, 8)), "WEBP"),
    "a HEIC or AVIF picture": b"\0\0\0\x18ftypheic" + bytes(90),
    "a page of the web": b"\n<!DOCTYPE html>\n<html><body>404</body></html>",
    "a text": "Für später\n".encode() * 60,
    "a zip file": b"PK\x03\x04" + bytes(90),
    "a list of files": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.ts\n",
    "sound alone": b"ID3\x04" + bytes(90),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_video_is_called_by_its_name(tmp_path, kind):
    (tmp_path / "film.mp4").write_bytes(FILES[kind])
    assert f"is no video that can be read: it is {kind}" in _error(tmp_path / "film.mp4")


def test_animated_pngs_and_raw_frames_are_videos(tmp_path):
    for name, codec, pixels, form in (
        ("a.png", "apng", "rgb24", "apng"),
        ("a.y4m", "rawvideo", "yuv420p", "yuv4mpegpipe"),
    ):
        with av.open(str(tmp_path / name), "w", format=form) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
            for number in range(3):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 65 + number, np.uint8)).reformat(format=pixels)
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        assert stylize_video(tmp_path / name, tmp_path / "new.mkv", unchanged).frames == 3


def test_no_line_of_the_library_reaches_the_terminal(tmp_path):
    cut = _cut(tmp_path / "cut.mp4", "mp4 faststart", 0.5)
    damaged = write_container(tmp_path / "damaged.ts", "ts")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    damaged.write_bytes(data)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from binorm.experiments.common.errors import UserError\n"
        "from binorm.experiments.style.video.stylize import stylize_video\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        stylize_video(Path(name), Path(name).with_name('new.mkv'), lambda pixels, strength: pixels)\n"
        "    except UserError:\n"
        "        pass\n"
    )
    command = [sys.executable, "-c", code, str(cut), str(damaged)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")

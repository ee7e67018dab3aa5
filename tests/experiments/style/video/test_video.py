import os
import resource
import signal
import sys
import threading

import numpy as np
import pytest
from video_files import TIME_BASE, moving_picture, read_video, write_sine, write_video

from binorm.experiments.common.errors import Interrupted, UserError
from binorm.experiments.style.video import reader, writer
from binorm.experiments.style.video.frames import FrameForm
from binorm.experiments.style.video.stylize import AHEAD, stylize_video

FRAMES = 12


def negative(pixels, strength):
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    return np.round((1 - strength) * pixels + strength * (255.0 - pixels)).astype(np.uint8)


def unchanged(pixels, strength):
    return pixels


@pytest.fixture(scope="module")
def pictures():
    return [moving_picture(number) for number in range(FRAMES)]


@pytest.fixture(scope="module")
def clip(pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_video(path, pictures)
    return path


def _error(source, target, **options):
    """The message of a video that must be refused, with nothing left at the target or beside it."""
    there = set(os.listdir(target.parent)) if target.parent.exists() else set()
    with pytest.raises(UserError) as caught:
        stylize_video(source, target, options.pop("stylizer", unchanged), **options)
    assert not target.parent.exists() or set(os.listdir(target.parent)) == there
    return str(caught.value)


def test_every_frame_is_drawn_at_its_time_with_its_sound(clip, tmp_path):
    target, seen = tmp_path / "new.mp4", []
    facts = stylize_video(clip, target, negative, progress=lambda done, total: seen.append((done, total)))
    old, new = read_video(clip), read_video(target)
    assert new.times == old.times
    assert len(new.times) == FRAMES
    assert new.packets == old.packets
    assert len(old.packets) > 10
    assert new.seconds == pytest.approx(old.seconds, abs=1e-3)
    for before, after in zip(old.frames, new.frames, strict=True):
        assert np.abs(255.0 - before - after).mean() < 4
    assert (facts.frames, facts.width, facts.height) == (FRAMES, 64, 48)
    assert facts.frames_per_second == pytest.approx(FRAMES / facts.seconds)
    assert [done for done, _ in seen[:FRAMES]] == list(range(1, FRAMES + 1))
    assert {total for _, total in seen} == {FRAMES}


def test_strength_reaches_the_stylizer(clip, tmp_path):
    stylize_video(clip, tmp_path / "new.mp4", negative, strength=0.25)
    for before, after in zip(read_video(clip).frames, read_video(tmp_path / "new.mp4").frames, strict=True):
        assert np.abs(negative(before, 0.25).astype(float) - after).mean() < 4


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_at_odd_times_keep_them(pictures, tmp_path, suffix):
    times = [0, 512, 600, 2000, 2500, 2560, 5000, 5100, 5200, 9000, 9512, 12000]
    source, target = tmp_path / f"old{suffix}", tmp_path / f"new{suffix}"
    write_video(source, pictures, times=times)
    stylize_video(source, target, unchanged)
    old, new = read_video(source), read_video(target)
    assert new.times == pytest.approx(old.times, abs=1e-6)
    assert new.times == pytest.approx([float(time * TIME_BASE) for time in times], abs=1e-3)
    assert [data for _, data in new.packets] == [data for _, data in old.packets]
    assert [time for time, _ in new.packets] == pytest.approx([time for time, _ in old.packets], abs=2e-5)


def test_a_late_picture_stays_late(pictures, tmp_path):
    write_video(tmp_path / "old.mp4", pictures, times=[6400 + 512 * number for number in range(FRAMES)])
    stylize_video(tmp_path / "old.mp4", tmp_path / "new.mp4", unchanged)
    old, new = read_video(tmp_path / "old.mp4"), read_video(tmp_path / "new.mp4")
    assert new.times == old.times
    assert new.times[0] == 0.5
    assert new.packets == old.packets


def test_webm_is_vp9_with_the_sound_as_it_was(pictures, tmp_path):
    odd = [each[:47, :63] for each in pictures]
    write_video(tmp_path / "old.webm", odd, codec="libvpx-vp9", audio="libopus")
    facts = stylize_video(tmp_path / "old.webm", tmp_path / "new.webm", unchanged)
    old, new = read_video(tmp_path / "old.webm"), read_video(tmp_path / "new.webm")
    assert (new.codec, new.size, facts.width, facts.height) == ("vp9", (63, 47), 63, 47)
    assert new.times == old.times
    assert new.packets == old.packets


def test_h264_of_odd_sizes_loses_a_row_and_a_column(pictures, tmp_path):
    write_video(tmp_path / "odd.webm", [each[:47, :63] for each in pictures], codec="libvpx-vp9", audio="")
    facts = stylize_video(tmp_path / "odd.webm", tmp_path / "new.mp4", unchanged)
    old, new = read_video(tmp_path / "odd.webm"), read_video(tmp_path / "new.mp4")
    assert (new.codec, new.size, facts.width, facts.height) == ("h264", (62, 46), 62, 46)
    assert np.abs(old.frames[3][:46, :62].astype(float) - new.frames[3]).mean() < 4


def test_without_h264_it_is_mpeg4(clip, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("av.codecs_available", {"mpeg4", "aac"})
    write_video(tmp_path / "old.ts", pictures)  # its times have 90,000 units a second, more than MPEG-4 counts
    stylize_video(tmp_path / "old.ts", tmp_path / "new.mp4", unchanged)
    old, new = read_video(tmp_path / "old.ts"), read_video(tmp_path / "new.mp4")
    assert new.codec == "mpeg4"
    assert new.times == pytest.approx(old.times, abs=1e-4)
    assert np.abs(old.frames[3].astype(float) - new.frames[3]).mean() < 6
    assert "no encoder libvpx-vp9" in _error(clip, tmp_path / "new.webm")


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_pictures_are_turned_upright(pictures, tmp_path, degrees):
    write_video(tmp_path / "old.mp4", pictures, rotation=degrees)
    stylize_video(tmp_path / "old.mp4", tmp_path / "new.mp4", unchanged)
    stored, new = read_video(tmp_path / "old.mp4").frames[3], read_video(tmp_path / "new.mp4").frames[3]
    upright = np.rot90(stored, degrees // 90).astype(float)
    assert new.shape == upright.shape
    assert np.abs(upright - new).mean() < 4
    assert np.abs(upright[::-1, ::-1] - new).mean() > 10


def test_mirrored_pictures_are_mirrored(pictures):
    form = FrameForm(64, 48, 2, 2, 2, 0, (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))
    assert np.array_equal(form.turned(pictures[0]), pictures[0][:, ::-1])
    form = FrameForm(64, 48, 2, 2, 2, 0, (0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30))
    assert np.array_equal(form.turned(pictures[0]), pictures[0].swapaxes(0, 1))
    assert form.upright_size == (48, 64)


@pytest.mark.parametrize("colours", [(1, 1), (5, 2), (9, 1), (2, 0)], ids=["bt709", "full range", "bt2020", "unnamed"])
def test_colours_stay_and_are_named_as_before(pictures, tmp_path, colours):
    import av

    write_video(tmp_path / "old.mp4", pictures, colours=colours, audio="")
    stylize_video(tmp_path / "old.mp4", tmp_path / "new.mp4", unchanged)
    assert read_video(tmp_path / "new.mp4").colours == colours
    coded = []
    for name in ("old.mp4", "new.mp4"):
        with av.open(str(tmp_path / name)) as container:
            coded.append(next(container.decode(video=0)).to_ndarray().astype(float))
    assert np.abs(coded[0] - coded[1]).mean() < 1.5


def test_the_colours_of_a_gif_are_not_named_rgb(tmp_path, pictures):
    from PIL import Image

    first, *others = map(Image.fromarray, pictures)
    first.save(tmp_path / "old.gif", save_all=True, append_images=others, duration=100)
    stylize_video(tmp_path / "old.gif", tmp_path / "new.mp4", unchanged)
    new = read_video(tmp_path / "new.mp4")
    assert new.colours == (2, 0)
    assert new.times == pytest.approx([number / 10 for number in range(FRAMES)])
    assert np.abs(pictures[3].astype(float) - new.frames[3]).mean() < 6


def test_subtitles_are_copied_where_they_fit(pictures, tmp_path):
    write_video(tmp_path / "old.mkv", pictures, audio="", subtitle=b"words")
    assert stylize_video(tmp_path / "old.mkv", tmp_path / "new.mkv", unchanged).warnings == ()
    assert read_video(tmp_path / "new.mkv").packets == [(0.1, b"words")]
    facts = stylize_video(tmp_path / "old.mkv", tmp_path / "new.mp4", unchanged)
    assert facts.warnings == ("the new video is without subtitles (srt)",)
    assert read_video(tmp_path / "new.mp4").packets == []


def test_sound_that_does_not_fit_is_an_error(clip, pictures, tmp_path):
    message = _error(clip, tmp_path / "new.webm")
    assert ".webm cannot hold the sound" in message
    assert "(aac)" in message
    assert "write .mp4 or .mov or .mkv" in message
    write_video(tmp_path / "old.webm", pictures, codec="libvpx-vp9", audio="libopus")
    message = _error(tmp_path / "old.webm", tmp_path / "new.mov")
    assert "opus" in message
    assert "write .mp4 or .mkv or .webm" in message


def test_network_decoder_and_encoder_have_threads_of_their_own_and_are_never_far_apart(clip, tmp_path, monkeypatch):
    decoding, network, encoding, ahead, behind = [], [], [], [], []
    to_rgb, write = reader.VideoReader.to_rgb, writer.VideoWriter.write

    def watched_to_rgb(self, each):
        decoding.append(threading.current_thread())
        return to_rgb(self, each)

    def watched_write(self, frame):
        write(self, frame)
        encoding.append(threading.current_thread())

    def watched_network(pixels, strength):
        network.append(threading.current_thread())
        ahead.append(len(decoding) - len(network))
        behind.append(len(network) - len(encoding))
        return pixels

    monkeypatch.setattr(reader.VideoReader, "to_rgb", watched_to_rgb)
    monkeypatch.setattr(writer.VideoWriter, "write", watched_write)
    stylize_video(clip, tmp_path / "new.mp4", watched_network)
    assert set(network) == {threading.main_thread()}
    assert len({*decoding, *encoding, *network}) == 3
    assert max(ahead) <= AHEAD + 1
    assert max(behind) <= AHEAD + 2


@pytest.mark.parametrize("error", [RuntimeError("on the way"), KeyboardInterrupt(), Interrupted(signal.SIGTERM)])
def test_what_stops_it_leaves_the_old_file_and_no_thread(clip, tmp_path, error):
    target = tmp_path / "new.mp4"
    target.write_bytes(b"old")
    threads, calls = set(threading.enumerate()), []

    def stops(pixels, strength):
        calls.append(None)
        if len(calls) == 6:
            raise error
        return pixels

    with pytest.raises(type(error)):
        stylize_video(clip, target, stops)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["new.mp4"]
    assert set(threading.enumerate()) <= threads


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_full_disk_is_an_error_and_leaves_nothing(clip, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        message = _error(clip, tmp_path / "new.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "File too large" in message


def test_files_that_are_no_video_are_errors(clip, tmp_path):
    target = tmp_path / "new.mp4"
    assert "No such file" in _error(tmp_path / "nothing.mp4", target)
    assert "Is a directory" in _error(tmp_path, target)
    contents = {
        "text.txt": b"no video\n" * 99,
        "empty.mp4": b"",
        "list.mp4": b"ffconcat version 1.0\nfile " + os.fsencode(clip.name) + b"\n",
        "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.ts\n#EXT-X-ENDLIST\n",
        "cut.mp4": clip.read_bytes()[: clip.stat().st_size // 2],  # its index is at its end
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert f"{name} is no video that can be read" in _error(tmp_path / name, target)


def test_sound_alone_is_an_error(tmp_path, pictures):
    import av

    with av.open(str(tmp_path / "sound.m4a"), "w") as container:
        write_sine(container, container.add_stream("aac", rate=48000, layout="mono"), 0.2)
    assert "no video stream" in _error(tmp_path / "sound.m4a", tmp_path / "new.mp4")


def test_damaged_videos_are_errors(clip, pictures, tmp_path):
    damaged = bytearray(clip.read_bytes())
    start = damaged.index(b"mdat") + 1200
    damaged[start : start + 400] = bytes((each * 7 + 13) % 256 for each in damaged[start : start + 400])
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    assert "damaged.mp4 is damaged at about 0." in _error(tmp_path / "damaged.mp4", tmp_path / "new.mp4")
    write_video(tmp_path / "whole.mkv", pictures)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    assert "cut.mkv is cut off: it holds 6 frames (0.4 of 0.5 seconds), and its last cluster lacks" in _error(
        tmp_path / "cut.mkv", tmp_path / "new.mp4"
    )


def test_unusable_arguments_are_errors(clip, tmp_path, monkeypatch):
    assert "consistency should be in [0, 1] (got 1.5)" in _error(clip, tmp_path / "new.mp4", consistency=1.5)
    assert "expected a name that ends in .mp4" in _error(clip, tmp_path / "new.wmv")
    assert "would replace the old one" in _error(clip, clip)
    monkeypatch.setattr(reader, "MAX_PIXELS", 3000)
    assert "frames of 64x48 pixels" in _error(clip, tmp_path / "new.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install 'binorm[style]'" in _error(clip, tmp_path / "new.mp4")

"""What a video has beside its frames: sound, subtitles, data, chapters, covers; and how its frames are shown."""

from fractions import Fraction

import av
import numpy as np
import pytest
from video_containers import write_container
from video_files import RATE, moving_picture, read_video, write_sine, write_video

from binorm.experiments.style.result_names import result_suffix
from binorm.experiments.style.video.containers import fits, target_suffix
from binorm.experiments.style.video.deinterlace import Deinterlacer
from binorm.experiments.style.video.stylize import stylize_video

FRAMES = 6
CHAPTERS = [
    {"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
    {"id": 2, "start": 100, "end": 240, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
]


def unchanged(pixels, strength):
    return pixels


def _film(path, *extras, codec="libx264", options=None, aspect=None, picture=moving_picture):
    """A film with what each of ``extras`` adds before the head is written, and what that returns after the frames."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=RATE, options=options or {})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        later = [extra(container) for extra in extras]
        container.start_encoding()
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number, 64, 48))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for write in filter(None, later):
            write()
    return path


def _data(container):
    stream = container.add_data_stream("klv" if container.format.name == "mpegts" else "bin_data")

    def write():
        packet = av.Packet(b"where it was")
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = 100
        packet.duration = 40
        container.mux(packet)

    return write


def _sound(codec):
    def add(container):
        stream = container.add_stream(codec, rate=48000, layout="mono")
        return lambda: write_sine(container, stream, FRAMES / RATE)

    return add


def _chapters(container):
    container.set_chapters(CHAPTERS)


def _attachment(container):
    container.add_attachment("letters.ttf", "font/ttf", b"font" * 100)


def _time_code(container):
    container.streams.video[0].metadata["timecode"] = "01:00:00:00"


def _second_video(container):
    stream = container.add_stream("mpeg4", rate=RATE)
    stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"

    def write():
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8))
        frame.pts, frame.time_base = 0, Fraction(1, RATE)
        container.mux([*stream.encode(frame), *stream.encode(None)])

    return write


def _kinds(path):
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def test_data_are_copied_where_they_fit_and_listed_where_not(tmp_path):
    source = _film(tmp_path / "old.mp4", _data)
    assert stylize_video(source, tmp_path / "new.mp4", unchanged).warnings == ()
    assert [data for _, data in read_video(tmp_path / "new.mp4").packets] == [b"where it was"]
    facts = stylize_video(source, tmp_path / "new.mkv", unchanged)
    assert facts.warnings == ("the new video is without data (GoPro MET)",)  # FFmpeg's name of such streams
    facts = stylize_video(_film(tmp_path / "old.ts", _data), tmp_path / "new.mkv", unchanged)
    assert facts.warnings == ("the new video is without data (klv)",)
    assert facts.frames == FRAMES


def test_every_sound_is_copied(tmp_path):
    source = _film(tmp_path / "old.mkv", _sound("aac"), _sound("ac3"))
    stylize_video(source, tmp_path / "new.mp4", unchanged)
    assert _kinds(tmp_path / "new.mp4") == ["video", "audio", "audio"]
    old, new = (sorted(data for _, data in read_video(tmp_path / name).packets) for name in ("old.mkv", "new.mp4"))
    assert new == old


@pytest.mark.parametrize("old", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("new", [".mp4", ".mkv", ".mov"])
def test_chapters_are_kept(tmp_path, old, new):
    source = _film(tmp_path / f"old{old}", _chapters)
    facts = stylize_video(source, tmp_path / f"new{new}", unchanged)
    assert (facts.frames, facts.warnings) == (FRAMES, ())
    with av.open(str(tmp_path / f"new{new}")) as container:
        chapters = [(float(each["start"] * each["time_base"]), each["metadata"]) for each in container.chapters()]
    assert chapters == [(0.0, {"title": "one"}), (0.1, {"title": "two"})]


def test_attachments_stay_in_matroska(tmp_path):
    source = _film(tmp_path / "old.mkv", _attachment)
    assert stylize_video(source, tmp_path / "new.mkv", unchanged).warnings == ()
    with av.open(str(tmp_path / "new.mkv")) as container:
        assert [each.data for each in container.streams if each.type == "attachment"] == [b"font" * 100]
    facts = stylize_video(source, tmp_path / "new.mp4", unchanged)
    assert facts.warnings == ("the new video is without an attachment (letters.ttf)",)


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_the_time_code_is_kept(tmp_path, suffix):
    source = _film(tmp_path / "old.mov", _time_code)
    assert stylize_video(source, tmp_path / f"new{suffix}", unchanged).warnings == ()
    with av.open(str(tmp_path / f"new{suffix}")) as container:
        metadata = container.streams.video[0].metadata
    assert {name.lower(): value for name, value in metadata.items()}["timecode"] == "01:00:00:00"


def test_of_several_pictures_the_first_is_drawn_and_the_others_are_said(tmp_path):
    facts = stylize_video(_film(tmp_path / "old.mp4", _second_video), tmp_path / "new.mp4", unchanged)
    assert (facts.width, facts.height, facts.frames) == (64, 48, FRAMES)
    assert facts.warnings == ("the new video is without its 1 other video stream",)


def test_a_cover_is_not_the_video(tmp_path):
    def cover(container):
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic

        def write():
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8)).reformat(format="yuvj420p")
            frame.pts, frame.time_base = 0, Fraction(1, 1)
            container.mux([*stream.encode(frame), *stream.encode(None)])

        return write

    facts = stylize_video(_film(tmp_path / "old.mp4", cover), tmp_path / "new.mp4", unchanged)
    assert (facts.width, facts.height, facts.frames) == (64, 48, FRAMES)
    assert facts.warnings == ("the new video is without its 1 cover picture",)


def test_closed_captions_are_said_to_be_lost(tmp_path):
    with av.open(str(tmp_path / "film.h264"), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(moving_picture(0))
        container.mux([*stream.encode(frame), *stream.encode(None)])
    data = (tmp_path / "film.h264").read_bytes()
    captions = b"\xb5\0\x31GA94\x03\xc1\xff\xfc\x94\x2c\xff"  # ATSC A/53, one pair of bytes
    message = b"\0\0\1\x06\x04" + bytes([len(captions)]) + captions + b"\x80"
    at = data.index(b"\0\0\1\x65")
    (tmp_path / "film.h264").write_bytes(data[:at] + message + data[at:])
    facts = stylize_video(tmp_path / "film.h264", tmp_path / "new.mkv", unchanged)
    assert "its closed captions, which lie within frames, are not kept" in facts.warnings
    assert "its format does not say where it ends" in facts.warnings[0]


def test_metadata_that_would_not_be_true_are_dropped(tmp_path):
    def tags(container):
        container.streams.video[0].metadata.update({"BPS": "99", "NUMBER_OF_FRAMES": "7", "title": "A walk"})

    stylize_video(_film(tmp_path / "old.mkv", tags), tmp_path / "new.mkv", unchanged)
    with av.open(str(tmp_path / "new.mkv")) as container:
        metadata = container.streams.video[0].metadata
    assert metadata["title"] == "A walk"
    assert not {"BPS", "NUMBER_OF_FRAMES"} & set(metadata)


def test_pixels_that_are_not_square_stay_so(tmp_path):
    source = _film(tmp_path / "old.mp4", aspect=Fraction(16, 11))
    stylize_video(source, tmp_path / "new.mp4", unchanged)
    with av.open(str(tmp_path / "new.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("old.mp4", "libx264", {"flags": "+ildct+ilme", "x264-params": "tff=1"}),
        ("old.mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
    ],
)
def test_interlaced_frames_are_brought_to_one_moment_at_the_same_times(tmp_path, name, codec, options):
    source = _film(tmp_path / name, codec=codec, options=options)
    facts = stylize_video(source, tmp_path / "new.mkv", unchanged)
    sentence = f"{FRAMES} of {FRAMES} frames are interlaced: their lines are brought to one moment"
    assert (facts.frames, facts.warnings) == (FRAMES, (sentence,))
    old, new = read_video(source), read_video(tmp_path / "new.mkv")
    assert new.times == pytest.approx(old.times, abs=2e-3)
    for before, after in zip(old.frames, new.frames, strict=True):
        assert np.abs(before.astype(float) - after).mean() < 6


def test_lines_of_another_moment_are_replaced(tmp_path):
    """Odd lines show a bar where it was a moment later: the frames that come out have it in one place."""

    def combed(number, width, height):
        pixels = np.full((height, width, 3), 30, np.uint8)
        pixels[::2, 6 * number : 6 * number + 20] = 220
        pixels[1::2, 6 * number + 3 : 6 * number + 23] = 220
        return pixels

    options = {"flags": "+ildct+ilme", "x264-params": "tff=1", "crf": "5"}
    source = _film(tmp_path / "old.mp4", options=options, picture=combed)
    deinterlacer, before, after = Deinterlacer(Fraction(1, RATE)), [], []
    with av.open(str(source)) as container:
        for frame in container.decode(video=0):
            before.append(frame)
            after += deinterlacer(frame)
    after += deinterlacer.finish()
    assert [float(each.pts * each.time_base) for each in after] == pytest.approx([float(each.time) for each in before])
    assert deinterlacer.count == FRAMES

    def comb(frame):
        lines = frame.to_ndarray()[:48].astype(float)
        return np.abs(np.diff(lines, axis=0)).mean()

    assert comb(before[3]) > 10
    assert comb(after[3]) < comb(before[3]) / 3


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.MP4", ".mp4"), ("a.m4v", ".mp4"), ("a.3gp", ".mp4"), ("a.3g2", ".mp4"), ("a.mov", ".mov"),
        ("a.webm", ".webm"), ("a.ts", ".mkv"), ("a.mts", ".mkv"), ("a.m2ts", ".mkv"), ("a.mpg", ".mkv"),
        ("a.mpeg", ".mkv"), ("a.flv", ".mkv"), ("a.wmv", ".mkv"), ("a.vob", ".mkv"), ("a.ogv", ".mkv"),
        ("a.avi", ".mkv"), ("a.mkv", ".mkv"), ("a", ".mkv"),
    ],
)  # fmt: skip
def test_a_new_video_is_called_by_a_container_that_is_written(tmp_path, name, suffix):
    assert target_suffix(tmp_path / name) == suffix
    (tmp_path / name).write_bytes(b"no video")
    assert result_suffix(tmp_path / name, True, "keep") == suffix


def test_the_sound_of_telephones_is_kept(tmp_path):
    def amr(container):
        stream = container.add_stream("libopencore_amrnb", rate=8000, layout="mono")
        return lambda: write_sine(container, stream, FRAMES / RATE)

    source = _film(tmp_path / "old.3gp", amr, codec="mpeg4")
    assert target_suffix(source) == ".mov"  # neither .mp4 nor .mkv take it
    assert stylize_video(source, tmp_path / "new.mov", unchanged).warnings == ()
    assert _kinds(tmp_path / "new.mov") == ["video", "audio"]


def test_a_sound_that_is_announced_and_never_comes_is_left_out(tmp_path):
    data = _film(tmp_path / "old.ts", _sound("aac")).read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    mute = b"".join(each for each in packets if int.from_bytes(each[1:3]) & 0x1FFF != 0x101)
    (tmp_path / "old.ts").write_bytes(mute)
    assert target_suffix(tmp_path / "old.ts") == ".mkv"
    facts = stylize_video(tmp_path / "old.ts", tmp_path / "new.mkv", unchanged)
    assert (facts.frames, facts.warnings) == (FRAMES, ("the new video is without sound (aac)",))


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mov"), ("libopus", ".mkv")])
def test_where_the_sound_does_not_fit_it_is_matroska(tmp_path, codec, suffix):
    source = _film(tmp_path / "old.mkv", _sound(codec)).rename(tmp_path / "old.mov")  # what counts is the content
    assert target_suffix(source) == suffix
    stylize_video(source, tmp_path / f"new{suffix}", unchanged)
    assert _kinds(tmp_path / f"new{suffix}") == ["video", "audio"]


def test_what_fits_is_found_without_writing(tmp_path):
    write_video(tmp_path / "old.mkv", [moving_picture(0)], subtitle=b"words")
    with av.open(str(tmp_path / "old.mkv")) as container:
        _, sound, text = container.streams
        assert [fits(sound, suffix) for suffix in (".mp4", ".mov", ".mkv", ".webm")] == [True, True, True, False]
        assert [fits(text, suffix) for suffix in (".mp4", ".mov", ".mkv", ".webm")] == [False, False, True, False]


@pytest.mark.parametrize("name", ["ts", "m2ts", "mpg", "vob"])
def test_two_recordings_in_one_file_are_one_film(tmp_path, name):
    path = write_container(tmp_path / "film", name, length=20)
    sounds = len(read_video(path).packets)
    path.write_bytes(path.read_bytes() * 2)  # times begin anew in the middle
    facts = stylize_video(path, tmp_path / "new.mkv", unchanged)
    assert facts.frames in (39, 40)  # one may be lost between them
    assert "its times begin anew in 1 place: it is drawn as one film" in facts.warnings
    new = read_video(tmp_path / "new.mkv")
    assert np.diff(new.times).max() < 0.17
    assert np.median(np.diff(new.times)) == pytest.approx(0.04, abs=2e-3)
    assert new.times[-1] - new.times[0] == pytest.approx(39 / RATE, abs=0.13)
    assert len(new.packets) > 2 * sounds - 6
    seconds = [time for time, _ in new.packets]
    assert seconds[-1] - seconds[0] == pytest.approx(1.6, abs=0.15)


def test_damaged_packets_of_sound_are_left_out_and_counted(tmp_path):
    path = write_container(tmp_path / "film.ts", "ts")
    data = bytearray(path.read_bytes())
    at = len(data) * 8 // 10
    data[at : at + 1500] = bytes(1500)
    path.write_bytes(data)
    facts = stylize_video(path, tmp_path / "new.mp4", unchanged)
    assert facts.frames > 20
    assert any(each.startswith("left out are ") and "of its sound" in each for each in facts.warnings)

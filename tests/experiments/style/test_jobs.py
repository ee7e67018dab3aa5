import pytest

from binorm.experiments.common.picture_names import VIDEO_SUFFIXES
from binorm.experiments.style.jobs import RESULTS, is_video, plan_jobs


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.gif"):
        (tmp_path / "photos" / name).touch()
    return tmp_path / "photos"


def _targets(plan):
    return [job.target.name for job in plan.jobs]


def test_results_beside_their_pictures_are_no_pictures_the_next_time(folder):
    first = plan_jobs([str(folder)], folder, "waves")
    assert _targets(first) == ["a-waves.png", "b-waves.png"]
    for job in first.jobs:
        job.target.touch()
    second = plan_jobs([str(folder)], folder, "waves")
    assert second.jobs == first.jobs
    assert second.left_out == {RESULTS: [str(job.target) for job in first.jobs]}


def test_no_result_replaces_a_file_that_was_given(folder):
    (folder / "a-waves.png").touch()
    given = [str(folder / name) for name in ("a.png", "a-waves.png", "b.gif")]
    plan = plan_jobs(given, folder / "trip" / "..", "waves")
    assert _targets(plan) == ["a-waves-waves.png", "b-waves.png"]
    (fault,) = plan.faults
    assert fault.startswith(f"{folder / 'a.png'} would become ")
    assert "which is an input itself: give another folder" in fault


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES))
def test_videos_are_known_by_their_names(tmp_path, suffix):
    assert is_video(tmp_path / f"clip{suffix.upper()}")


STARTS = {
    "mp4": b"\0\0\0\x18ftypisom", "mov": b"\0\0\0\x08wide", "mkv": b"\x1a\x45\xdf\xa3", "avi": b"RIFF\0\0\0\0AVI LIST",
    "ts": (b"G" + bytes(187)) * 3, "m2ts": (bytes(4) + b"G" + bytes(187)) * 3,
    "mpg": b"\0\0\x01\xba", "flv": b"FLV\x01",
}  # fmt: skip


@pytest.mark.parametrize("kind", STARTS)
@pytest.mark.parametrize("name", ["clip", "clip.dat"])
def test_videos_are_known_by_their_beginning_where_the_name_says_nothing(tmp_path, kind, name):
    (tmp_path / name).write_bytes(STARTS[kind] + bytes(100))
    assert is_video(tmp_path / name)


@pytest.mark.parametrize(
    "start", [b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavif", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"G", b""]
)
def test_pictures_and_others_are_no_videos(tmp_path, start):
    (tmp_path / "file").write_bytes(start)
    assert not is_video(tmp_path / "file")
    assert not is_video(tmp_path / "absent")


def test_a_pictures_name_is_believed(tmp_path):
    (tmp_path / "clip.png").write_bytes(STARTS["mp4"])
    assert not is_video(tmp_path / "clip.png")

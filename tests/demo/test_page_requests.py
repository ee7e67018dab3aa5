"""The page as its server sees visitors: what they get, what they are told, and what they cannot reach."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hostile_files import CASES, FINE, encoded, photograph
from page_client import PageClient
from PIL import Image

pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'binorm[demo]'")


def picture(width: int, height: int) -> bytes:
    return encoded("PNG", Image.fromarray(photograph(width, height)))


def test_a_picture_comes_back_in_the_style_and_in_its_size(visitor) -> None:
    kind, shown = visitor.stylize(picture(70, 45), "tiny")
    assert kind == "complete"
    assert shown[0].count("data:image/jpeg;base64,") == 2
    assert "70 × 45 pixels" in shown[0]
    result = np.asarray(Image.open(io.BytesIO(visitor.download(shown))))
    assert result.shape == (45, 70, 3)
    assert np.abs(result.astype(float) - photograph(70, 45)).mean() > 5


def test_strength_0_is_the_picture_itself_and_the_gate_matters(visitor) -> None:
    results = {}
    for strength, gate in ((0, 0), (1, 0), (1, -1), (1, 1)):
        kind, shown = visitor.stylize(picture(64, 48), "tiny", strength=strength, gate=gate)
        assert kind == "complete"
        results[strength, gate] = np.asarray(Image.open(io.BytesIO(visitor.download(shown)))).astype(float)
    np.testing.assert_array_equal(results[0, 0], photograph(64, 48))
    assert np.abs(results[1, -1] - results[1, 0]).mean() > 0.1
    assert np.abs(results[1, 1] - results[1, 0]).mean() > 0.1


def test_photographs_lose_where_they_were_taken(visitor) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at my home"
    kind, shown = visitor.stylize(encoded("JPEG", exif=exif), "tiny", "a.jpg")
    assert kind == "complete"
    result = visitor.download(shown)
    assert b"at my home" not in result
    assert not Image.open(io.BytesIO(result)).getexif()


@pytest.mark.parametrize("case", CASES)
def test_every_file_gets_a_result_or_a_plain_message(visitor, case) -> None:
    name, make, outcome = CASES[case]
    kind, answer = visitor.stylize(make(), "tiny", name)
    if outcome == FINE:
        assert kind == "complete", answer
        assert Image.open(io.BytesIO(visitor.download(answer))).format == "PNG"
    else:
        assert kind == "error"
        assert len(answer["error"]) > 15
        assert "Traceback" not in answer["error"]
        assert "/" not in answer["error"]  # nothing of this machine's folders


@pytest.mark.parametrize(
    ("style", "strength", "gate", "message"),
    [
        ("nothing", 1, 0, "nothing"),
        ("tiny", 2, 0, "maximum value 1"),
        ("tiny", 1, -3, "minimum value -1"),
        ("plain", 1, 0.5, "gate"),
    ],
)
def test_settings_outside_of_what_is_offered_are_named(visitor, style, strength, gate, message) -> None:
    kind, answer = visitor.stylize(picture(16, 16), style, strength=strength, gate=gate)
    assert kind == "error"
    assert message in answer["error"]


def test_uploads_end_where_they_get_too_long(visitor) -> None:
    for body in (b"x" * 1_200_000, b"x" * 9_000_000):
        answer = visitor.http.post("gradio_api/upload", files={"files": ("a.png", body)})
        assert answer.status_code == 413
    many = [("files", (f"{place}.png", b"x" * 400_000)) for place in range(4)]
    assert visitor.http.post("gradio_api/upload", files=many).status_code == 413
    assert visitor.http.post("gradio_api/call/stylize", json={"data": ["x" * 100_000]}).status_code == 413
    folder = Path(visitor.upload(b"still here")).parents[1]
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 20_000_000


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../etc/passwd",
        "gradio_api/file=..%2f..%2f..%2fetc%2fpasswd",
        "gradio_api/file=/proc/self/environ",
        "gradio_api/file=pyproject.toml",
        "gradio_api/file=https://example.com/",
        "gradio_api/file=http://127.0.0.1:22/",
        "gradio_api/file={folder}/../../etc/passwd",
        "gradio_api/file={folder}/link",
        "gradio_api/file={runs}/digits/report.html",
        "gradio_api/file/etc/passwd",
        "gradio_api/proxy=https://example.com/",
        "gradio_api/stream/a/b/1/playlist-file",
        "static/../../../../../../etc/passwd",
        "static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "monitoring/summary",
        "docs",
        "login",
    ],
)
def test_nothing_but_own_files_is_served(visitor, runs, path) -> None:
    folder = Path(visitor.upload(b"x")).parents[1]
    link = folder / "link"
    if "link" in path and not link.is_symlink():
        link.symlink_to("/etc/passwd")
    answer = visitor.http.get(path.format(folder=folder, runs=runs), follow_redirects=False)
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text
    assert "report of digits" not in answer.text


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.com/a.png", "../../etc/passwd", "", 3, "\0"])
def test_requests_may_name_own_uploads_only(visitor, path) -> None:
    answer = visitor.ask(path, "tiny")
    assert answer.status_code == 410
    assert "choose it again" in answer.text


def test_other_sites_cannot_use_the_page_through_a_visitors_browser(visitor) -> None:
    assert visitor.http.get("", headers={"host": "evil.example"}).status_code == 421
    assert visitor.http.get("", headers={"host": "localhost:7860"}).status_code == 200
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert visitor.http.request(method, "").status_code == 404
    broken = visitor.http.post("gradio_api/queue/join", content=b"[" * 50_000)
    assert broken.status_code == 400


def test_the_page_forbids_what_comes_from_elsewhere(visitor) -> None:
    answer = visitor.http.get("")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "connect-src 'self';" in policy
    assert "default-src 'self';" in policy


def test_results_of_a_visitor_do_not_pile_up(address) -> None:
    with PageClient(address, "one-visitor") as visitor:
        for gate in (0, 0.2, 0.4, 0.6, 0.8):
            kind, shown = visitor.stylize(picture(20, 20), "tiny", gate=gate)
            assert kind == "complete", shown
    own = Path(shown[1]["value"]["path"]).parents[1]
    assert len(list(own.iterdir())) == 2


def test_a_full_queue_says_so_and_the_rest_is_answered(visitor) -> None:
    path = visitor.upload(encoded("JPEG", Image.fromarray(photograph(320, 320))))
    with ThreadPoolExecutor(48) as pool:
        asked = list(pool.map(lambda place: visitor.ask(path, "tiny", 1 - place / 100), range(48)))
    busy = [each for each in asked if each.status_code == 503]
    tickets = [each for each in asked if each.status_code == 200]
    assert len(busy) + len(tickets) == 48
    assert busy
    assert len(tickets) >= 16
    assert all(visitor.answer(each)[0] == "complete" for each in tickets)

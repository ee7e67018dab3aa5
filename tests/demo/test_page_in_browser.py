"""The page in a real browser: what a person sees, clicks and types."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hostile_files import encoded, photograph
from PIL import Image

pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'binorm[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="tests of the page drive a browser with playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="tests of the page need a browser: apt-get install chromium")
# A container has no sandbox for root, and little shared memory.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

RESULT = "#result .comparison"


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address) -> Iterator["playwright.Page"]:
    """The page, with its first result; nothing that it does may leave this machine or fail."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    elsewhere, problems = [], []
    own = (address, "data:", "blob:", "about:")
    page.on("request", lambda request: None if request.url.startswith(own) else elsewhere.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    page.goto(address)
    page.wait_for_selector(RESULT)
    yield page
    context.close()
    assert elsewhere == []
    assert problems == []


def upload(page: "playwright.Page", data: bytes, name: str = "photo.png") -> None:
    page.set_input_files("#tab-style input[type=file]", {"name": name, "mimeType": "image/png", "buffer": data})


def shown(page: "playwright.Page") -> str:
    """The drawn picture that is on the page."""
    return page.get_attribute(f"{RESULT} img:not(.before)", "src")


def wait_for_another(page: "playwright.Page", before: str) -> None:
    page.wait_for_function(
        f"before => {{ const e = document.querySelector('{RESULT} img:not(.before)'); return e && e.src !== before }}",
        arg=before,
    )


def test_upload_style_download_and_back_to_an_example(page) -> None:
    example = shown(page)
    upload(page, encoded("PNG", Image.fromarray(photograph(90, 60))))
    wait_for_another(page, example)
    assert "90 × 60 pixels" in page.inner_text(RESULT)
    assert page.locator("input[type=radio][value=Palace]").first.is_checked() is False
    with page.expect_download() as waiting:
        page.get_by_text("Download as PNG").click()
    assert waiting.value.suggested_filename == "plain.png"
    result = np.asarray(Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes())))
    assert result.shape == (60, 90, 3)
    assert np.abs(result.astype(float) - photograph(90, 60)).mean() > 5
    before = shown(page)
    page.get_by_text("The tiny one").click()
    wait_for_another(page, before)
    own = shown(page)
    page.locator("input[type=radio][value=Flower]").first.check()
    wait_for_another(page, own)
    assert "CC BY" in page.inner_text(RESULT)
    assert page.get_by_text("photo.png").count() == 0


def test_divider_and_gate_move_by_keyboard(page) -> None:
    divider = page.get_by_label("Divider between before and after")
    divider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    place = "getComputedStyle(document.querySelector('#result .before')).clipPath"
    assert "53%" in page.evaluate(place)
    before = shown(page)
    page.get_by_text("The tiny one").click()
    wait_for_another(page, before)
    # The divider stays where it was.
    assert "53%" in page.evaluate(place)
    assert divider.input_value() == "47"
    trained = shown(page)
    page.get_by_label("range slider for Gates").focus()
    page.keyboard.press("Home")
    wait_for_another(page, trained)
    page.wait_for_selector("#explanation strong:has-text('instance norm')")
    instance = shown(page)
    page.keyboard.press("End")
    wait_for_another(page, instance)
    page.wait_for_selector("#explanation strong:has-text('batch norm')")


def test_every_control_has_a_name_and_is_reached_by_tab(page) -> None:
    reached = []
    page.get_by_role("tab", name="Style").focus()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(() => { const e = document.activeElement; return e.getAttribute('aria-label') || "
                "e.labels?.[0]?.innerText || e.innerText || e.tagName })()"
            ).strip()
        )
    in_order = [
        "Divider between before and after",
        "Download as PNG",
        "Click to upload or drop files",
        "Palace",
        "Palace, dim",
        "Flower",
        "The plain one – A. Painter, 1900",
        "The tiny one – A. Painter, 1900",
        "range slider for Strength",
        "range slider for Gates",
    ]
    places = [reached.index(name) for name in in_order]
    assert places == sorted(places)
    assert "BODY" not in reached


def test_what_cannot_be_drawn_is_said_on_the_page(page) -> None:
    toast = page.get_by_test_id("toast-body")
    clear = page.locator("#tab-style .picture [aria-label=Clear]:visible")
    for name, data, message in (
        ("long.png", b"x" * 1_500_000, "size"),
        ("photo.png", b"no picture at all", "not a picture"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an svg drawing"),
        ("large.png", encoded("PNG", Image.new("RGB", (1500, 1000))), "pixels"),
    ):
        upload(page, data, name)
        toast.first.wait_for()
        assert message in toast.first.inner_text().lower()
        page.get_by_test_id("toast-close").first.click()
        toast.first.wait_for(state="detached")
        if clear.count():
            clear.click()
    before = shown(page)
    upload(page, encoded("PNG"))
    wait_for_another(page, before)


def test_an_upload_that_expired_is_asked_for_again(page) -> None:
    before = shown(page)
    with page.expect_response(lambda answer: "/upload?" in answer.url and answer.request.method == "POST") as waiting:
        upload(page, encoded("PNG"))
    wait_for_another(page, before)
    Path(waiting.value.json()[0]).unlink()
    page.get_by_text("The tiny one").click()
    page.get_by_test_id("toast-body").get_by_text("choose it again").wait_for()


def test_gates_of_a_run_and_of_a_style(page) -> None:
    page.get_by_role("tab", name="Gates").click()
    page.wait_for_selector("#maps .channel img")
    assert page.get_by_label("Network").input_value() == "digits/bin/seed0"
    assert "total:" in page.inner_html("#overview")
    assert page.locator("#maps .channel").count() == 6
    first = page.inner_html("#maps")
    page.get_by_label("Network").click()
    page.get_by_role("option", name="style: tiny").click()
    page.wait_for_function("before => document.querySelector('#maps').innerHTML !== before", arg=first)
    page.wait_for_selector("#overview:has-text('gates lie below')")
    page.wait_for_function("document.querySelector('#layer input').value === 'encoder.0.norm'")


def test_reports_are_shown_without_running_anything(page) -> None:
    page.get_by_role("tab", name="Reports").click()
    page.wait_for_selector("iframe.report")
    page.get_by_label("Report", exact=True).click()
    offered = page.get_by_role("option").all_inner_texts()
    assert {each.removeprefix("✓").strip() for each in offered} == {"digits", "words"}
    page.get_by_role("option", name="digits").click()
    page.wait_for_selector("iframe.report[title='Report: digits']")
    frame = page.frame_locator("iframe.report")
    frame.get_by_text("A report of digits").wait_for()
    assert frame.locator("title").inner_text() == "r"


def test_phones_need_not_scroll_sideways(browser, address) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    page = context.new_page()
    page.goto(address)
    for tab, waited in (("Style", RESULT), ("Gates", "#maps .channel"), ("Reports", "iframe.report")):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector(waited)
        assert page.evaluate("document.scrollingElement.scrollWidth") == 390
        wide = "e => e.checkVisibility() && e.getBoundingClientRect().right > 391"
        wide = f"[...document.querySelectorAll('body *')].filter({wide}).map(e => e.outerHTML.slice(0, 120))"
        assert page.evaluate(wide) == []
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(20, 23, 26)"
    page.emulate_media(color_scheme="light")
    page.reload()
    page.wait_for_selector(RESULT)
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    context.close()

import io
import json
import random
import re

import numpy
import pytest
from fake_runs import write_run
from fake_styles import style_gates, write_style_run, write_styles
from page_tags import Tags
from PIL import Image
from report_files import report_of

from binorm.experiments.common.errors import UserError
from binorm.experiments.report import write_report
from binorm.experiments.report.figures.image import image_sheet
from binorm.experiments.report.significance import spread
from binorm.experiments.report.stylization import POINTS, sheets, thinned
from binorm.experiments.runs.reading import read_runs

HOSTILE = "<script>alert(1)</script>|`*x*`[bold]"
HEADINGS = [
    "Losses, last 100 iterations",
    "The paper's order of norms",
    "Gates at the end of training",
    "Pictures",
    "Left out",
    "How this was made",
]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("runs") / "digits", "bin", 0)
    gates = [{"name": "norm", "gates": [0.05, *[0.95] * 9]}]
    (run / "gates.json").write_text(json.dumps({"layers": gates, "history": []}))
    return run


@pytest.fixture(scope="module")
def styled(tmp_path_factory, classifier):
    folder = write_styles(tmp_path_factory.mktemp("runs") / "style" / "udnie", 2, config={"full_steps": 40_000})
    return report_of(folder, classifier)


def test_what_the_page_says_comes_in_order(styled):
    page = styled.html
    assert re.findall(r"<h2>(.*?)</h2>", page.replace("&#39;", "'")) == HEADINGS
    assert styled.entries["title"] == "Style transfer, Johnson et al.'s network: udnie"
    assert styled.entries["summary"] == (
        "bn, in, bn+in and bin in a style network of 16 channels at full size that learns udnie.jpg on 1,234 "
        "photographs of photos, 1,000 steps, seeds 0 and 1, on Example CPU."
    )
    assert styled.entries["notes"] == styled.entries["failures"] == []
    for fact in ("binorm compare style --style", "2.14.1", "Example CPU", "broken.jpg", "The full recipe"):
        assert fact in page


def test_the_numbers_are_those_of_the_files(styled):
    runs = read_runs(styled.folder)
    values = [run.metrics["content"][-1] for run in runs if run.norm == "bin"]
    text = f"{numpy.mean(values):.4f} ± {numpy.std(values, ddof=1):.4f}"
    for shown in styled.everywhere:
        assert text in shown
        assert styled.entries["conclusion"] in " ".join(shown.split())
        assert "content: bin is lowest" in shown
    entries = styled.entries
    assert entries["rows"][-1]["spread"]["content"]["mean"] == pytest.approx(numpy.mean(values))
    assert entries["claims"][0]["holds"] is True
    assert entries["published"]["losses"]["style"]["values"]["in"][-1] == 1.46
    assert len(entries["runs"]) == 8
    assert entries["runs"][0]["last"]["step"] == 1000


def test_the_papers_figures_stand_beside_them(styled):
    for shown in styled.everywhere[:2]:
        for figure in ("5.40", "3.68", "1.57", "234k", "NeurIPS 2018"):
            assert figure in shown


def test_curves_end_at_the_table_with_the_highest_first(styled):
    svg = (styled.folder / "figures" / "style-loss.svg").read_text()
    ends = re.findall(r">(bn|in|bn\+in|bin) ([\d.]+)<", svg)
    assert [norm for norm, _ in ends] == ["bn", "bn+in", "bin", "in"]
    assert dict(ends) == {row["norm"]: f"{row['spread']['style']['mean']:.5f}" for row in styled.entries["rows"]}


def test_a_short_schedule_is_said_everywhere(styled):
    label = "short schedule: 1,000 of 40,000 steps"
    assert all(label in shown.replace("Short", "short") for shown in styled.everywhere)
    figures = styled.folder / "figures"
    for name in ("content-loss", "style-loss", "gates-by-layer-bin", "gates-style-transfer-bin"):
        assert label in (figures / f"{name}.svg").read_text()


def test_the_page_stands_alone(styled):
    page = styled.html
    tags = Tags(page)
    assert "script" not in tags.names
    assert all(source.startswith(("data:image/png;base64,", "data:image/webp;base64,", "#")) for source in tags.sources)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_nothing_says_where_the_style_picture_lay(styled):
    for path in styled.folder.glob("report.*"):
        assert "/home" not in path.read_text()
        assert str(styled.folder.parent) not in path.read_text()


def test_the_markdown_refers_to_files_that_exist(styled):
    files = set(re.findall(r'src="figures/([^"]+)"', styled.markdown))
    assert files == {path.name for path in (styled.folder / "figures").iterdir()}
    assert {"pictures.webp", "content-loss.svg", "gates-classifier.svg"} <= files


def test_a_second_report_is_the_same_and_leaves_nothing_behind(styled, classifier):
    def contents():
        return {path: path.read_bytes() for path in styled.folder.rglob("*") if path.is_file()}

    first = contents()
    write_report(styled.folder, classifier)
    assert contents() == first


def test_the_table_fits_a_terminal(styled):
    shown = styled.narrow
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    assert "…" not in shown
    row = next(line for line in shown.splitlines() if line.strip().startswith("bn+in"))
    losses = styled.entries["rows"][2]["losses"]
    digits = {"content": 4, "style": 5, "variation": 5}
    texts = [spread(list(losses[loss].values())).text(places) for loss, places in digits.items()]
    assert row.split() == ["bn+in", *" ".join(texts).split(), "622", "±", "1", "1,000"]


def test_gates_stand_beside_those_of_a_classifier(styled):
    assert [(row["task"], row["part"]) for row in styled.entries["gates"]] == [
        ("style transfer", ""),
        ("style transfer", "encoder"),
        ("style transfer", "blocks"),
        ("style transfer", "decoder"),
        ("classifier", ""),
    ]
    assert styled.entries["gates"][0]["shares"]["count"] == 80
    assert styled.entries["gates_text"].endswith(
        "Classifier, digits bin seed 0: mean gate 0.86, 10.0 % of the gates below 0.1 and 90.0 % above 0.9: more "
        "instance norm in style transfer."
    )
    assert ">.900<" in (styled.folder / "figures" / "gates-classifier.svg").read_text()
    assert "ResNet-110" not in styled.html  # of the paper, which classifies


def test_higher_gates_than_the_classifiers_are_said_to_be_so(tmp_path, classifier):
    run = write_style_run(tmp_path / "udnie", "bin", 0)
    (run / "gates.json").write_text(json.dumps(style_gates(random.Random(0), shift=0.9)))
    report = report_of(tmp_path / "udnie", classifier)
    assert report.entries["gates_text"].endswith(": less instance norm in style transfer.")


def test_without_a_classifier_or_gates_less_is_said(tmp_path, classifier):
    report = report_of(write_styles(tmp_path / "a", 1, ("bn", "bin")))
    assert {row["task"] for row in report.entries["gates"]} == {"style transfer"}
    assert "lassifier" not in report.html
    report = report_of(write_styles(tmp_path / "b", 1, ("bn", "in")), classifier)
    assert (report.entries["gates"], report.entries["gates_text"]) == ([], "")
    assert "Gates at the end" not in report.html


def test_a_classifier_without_gates_is_an_error(tmp_path):
    write_style_run(tmp_path / "udnie", "bin", 0)
    run = write_run(tmp_path / "digits", "bn", 0)
    with pytest.raises(UserError, match=r"seed0 has no learned gates to compare with: expected gates\.json"):
        write_report(tmp_path / "udnie", run)
    assert not (tmp_path / "udnie" / "report.html").exists()


def test_one_seed_shows_no_spread(tmp_path):
    report = report_of(write_styles(tmp_path / "udnie", 1))
    for shown in report.everywhere:
        assert "One seed: no spread is known" in " ".join(shown.split())
    assert "±" not in report.terminal
    assert any(note.startswith("One run only of bn, in, bn+in, bin") for note in report.entries["notes"])
    assert report.entries["rows"][0]["spread"]["style"]["std"] is None


def test_failures_are_named_and_left_out(tmp_path):
    folder = write_styles(tmp_path / "udnie", 1, ("bn", "bin"))
    write_style_run(folder, "bin", 1, record={"status": "diverged", "reason": "the loss became nan"})
    (folder / "in" / "seed0").mkdir(parents=True)
    report = report_of(folder)
    assert [(each["norm"], each["seed"], each["status"]) for each in report.entries["failures"]] == [
        ("in", 0, "unfinished"),
        ("bin", 1, "diverged"),
    ]
    for shown in report.everywhere:
        assert "bin: 1 of 2 runs finished (1 diverged); the table shows these." in shown
    assert all("the loss became nan" in shown for shown in report.everywhere[:2])


def test_runs_none_of_which_finished_make_a_report(tmp_path):
    report = report_of(write_styles(tmp_path / "udnie", 1, record={"status": "running"}))
    assert tuple(report.entries[key] for key in ("rows", "claims", "conclusion")) == ([], [], "")
    assert all("None of 4 runs has finished yet." in shown for shown in report.everywhere)


def test_runs_that_differ_are_noted(tmp_path):
    folder = write_styles(tmp_path / "udnie", 1, ("bn", "in"))
    write_style_run(folder, "bin", 0, steps=600, config={"style": "other.jpg"})
    report = report_of(folder)
    notes = report.entries["notes"]
    assert any("configuration.steps: 1000 (bn seed 0, in seed 0); 600 (bin seed 0)" in note for note in notes)
    assert any("configuration.style: udnie.jpg" in note for note in notes)
    assert "1,000" in report.terminal
    assert "600" in report.terminal
    assert "runs are of different lengths" in report.entries["conclusion"]


def test_text_from_run_files_is_never_markup(tmp_path):
    folder = tmp_path / "udnie"
    config = {"title": HOSTILE, "width": HOSTILE, HOSTILE: HOSTILE}
    style = {"name": HOSTILE, "picture": HOSTILE.replace("/", ""), "size": [1, 1]}
    data = {"name": HOSTILE, "source": HOSTILE, "train": 3, "skipped": [HOSTILE]}
    photographs = (HOSTILE.replace("/", ""),)
    for norm in ("bn", "<i>"):
        record = {"style": style, "data": data, "command": HOSTILE}
        write_style_run(folder, norm, 0, config=config, record=record, photographs=photographs)
    write_style_run(folder, "<b>", 0, record={"status": "diverged", "reason": HOSTILE})
    report = report_of(folder)
    assert not {"script", "i", "b"} & Tags(report.html).names
    text = report.markdown
    assert "<script" not in text
    assert "<i>" not in text
    assert "[bold]" in report.terminal


def sheet_of(folder):
    (picture,) = sheets(read_runs(folder))
    return picture, Image.open(io.BytesIO(picture.content)).convert("RGB")


def cell(image, column, columns):
    """The middle of a cell of the first row."""
    return image.getpixel((round((column + 0.5) * image.width / columns), round(0.28 * image.height)))


def test_the_sheet_has_originals_first_then_the_norms(tmp_path):
    norms = ("bn", "in", "bin")
    for place, norm in enumerate(norms):
        run = write_style_run(tmp_path, norm, 0)
        colour = tuple(200 * (channel == place) for channel in range(3))
        for name in ("china", "flower"):
            Image.new("RGB", (32, 24), (90, 90, 90)).save(run / "samples" / f"{name}.png")
            Image.new("RGB", (32, 24), colour).save(run / "samples" / f"{name}-stylized.png")
    (tmp_path / "in" / "seed0" / "samples" / "china-stylized.png").unlink()
    picture, image = sheet_of(tmp_path)
    assert picture.caption == "china, flower: the photographs and what seed 0 of each norm makes of them"
    assert image.width > 1000
    ground = image.getpixel((1, image.height - 2))
    assert [cell(image, column, 4) for column in range(4)] == [(90, 90, 90), (200, 0, 0), ground, (0, 0, 200)]


def test_the_lowest_finished_seed_is_shown(tmp_path):
    write_style_run(tmp_path, "bn", 0, photographs=("china",))
    write_style_run(tmp_path, "bin", 0, record={"status": "running"})
    for seed in (2, 1):
        write_style_run(tmp_path, "bin", seed, photographs=("china",))
    runs = [run for run in read_runs(tmp_path) if hasattr(run, "samples")]
    assert sheets(runs)[0].caption.endswith("what bn seed 0 and bin seed 1 make of them")


def test_photographs_without_a_counterpart_are_left_out(tmp_path):
    run = write_style_run(tmp_path, "bn", 0)
    (run / "samples" / "china.png").unlink()
    assert sheet_of(tmp_path)[0].caption.startswith("flower: ")
    (run / "samples" / "flower-stylized.png").unlink()
    assert sheets(read_runs(tmp_path)) == []


def test_a_damaged_sample_is_named(tmp_path):
    run = write_style_run(tmp_path, "bn", 0)
    path = run / "samples" / "china-stylized.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=r"china-stylized\.png"):
        write_report(tmp_path)


def test_rows_of_a_sheet_are_as_tall_as_their_pictures():
    wide, tall = (numpy.zeros(shape, numpy.uint8) for shape in ((20, 40, 3), (40, 20, 3)))
    heights = [Image.open(io.BytesIO(image_sheet({"original": [each]}))).height for each in (wide, tall)]
    assert heights[1] > 2 * heights[0]


def test_long_curves_are_thinned_to_means():
    values = {100 * step: float(step) for step in range(1, 2 * POINTS + 1)}
    shorter = thinned(values)
    assert len(shorter) == POINTS
    assert list(shorter.items())[:2] == [(150, 1.5), (350, 3.5)]
    assert thinned({100: 2.0}) == {100: 2.0}
    assert thinned({}) == {}

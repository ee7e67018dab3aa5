import csv
import json
import re
from pathlib import Path

import pytest
from fake_runs import LAYERS, write_run
from page_tags import Tags
from report_files import report_of

from binorm.experiments.common.errors import UserError
from binorm.experiments.report import write_report

HOSTILE = "<script>alert(1)</script>|`*x*`"


@pytest.fixture
def comparison(tmp_path):
    for norm in ("bin", "bn", "in", "bn+in"):
        for seed in range(3):
            write_run(tmp_path, norm, seed)
    return tmp_path


def set_last_epoch(run: Path, accuracy: float) -> None:
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    rows[-1]["test_accuracy"] = str(accuracy)
    with (run / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_rows_come_by_evaluation_set_then_norm(comparison):
    report = report_of(comparison)
    rows, costs = report.entries["rows"], report.entries["costs"]
    assert [(row["evaluation"], row["norm"]) for row in rows] == [
        (data, norm) for data in ("test", "unseen styles") for norm in ("bn", "in", "bn+in", "bin")
    ]
    assert all(row["runs"] == row["started"] == 3 for row in rows)
    assert [row["norm"] for row in rows if row["difference"] is None] == ["bn", "bn"]
    assert [(cost["norm"], cost["gates"]) for cost in costs] == [("bn", 0), ("in", 0), ("bn+in", 0), ("bin", 448)]
    assert report.entries["notes"] == report.entries["failures"] == []
    assert report.entries["schedule"] is None


def test_the_numbers_are_those_of_the_files(tmp_path):
    for norm, accuracies in {"bn": (90.0, 91.0, 92.0), "bin": (91.0, 92.5, 93.0)}.items():
        for seed, accuracy in enumerate(accuracies):
            set_last_epoch(write_run(tmp_path, norm, seed), accuracy)
    report = report_of(tmp_path)
    bn, bin_ = report.entries["rows"][:2]
    assert bin_["difference"]["mean"] == pytest.approx(3.5 / 3)
    assert bn["best"]["mean"] >= bn["last"]["mean"]
    page = report.html
    assert '<td data-label="last epoch "><span class="strong">91.00 ± 1.00</span></td>' in page
    assert "| bn<br><sub>3 runs</sub> | **91.00 ± 1.00** |" in report.markdown
    entries = report.entries
    assert entries["rows"][0]["last"] == {"count": 3, "mean": 91.0, "std": 1.0}
    assert [run["last"]["test"] for run in entries["runs"]] == [90.0, 91.0, 92.0, 91.0, 92.5, 93.0]


def test_the_page_stands_alone(comparison):
    page = report_of(comparison).html
    tags = Tags(page)
    assert "script" not in tags.names
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert page.count("<svg") >= 9
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_what_the_page_says_comes_in_order(comparison):
    (write_run(comparison, "in", 3, record={"status": "diverged", "reason": "loss became nan"}))
    page = report_of(comparison).html
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Top-1 accuracy, %",
        "Cost",
        "Learning curves",
        "Gates at the end of training",
        "Gates by layer and over training",
        "Samples",
        "Left out",
        "How this was made",
    ]
    assert page.index("last epoch") < page.index("(chosen on the")
    for fact in ("binorm compare digits --seeds 5", "2.14.1", "Example CPU", "bfloat16", "The full recipe"):
        assert fact in page


def test_the_markdown_refers_to_files_that_exist(comparison):
    report = report_of(comparison)
    text = report.markdown
    files = re.findall(r'src="figures/([^"]+)"', text)
    assert set(files) == {path.name for path in (comparison / "figures").iterdir()}
    assert {"learning-curves-unseen-styles.svg", "gates-bin-total.svg", "gates-bin-stage1.svg"} <= set(files)
    assert {"gates-bin-stem.svg", "gates-over-training-bin.svg", "samples-train.png"} <= set(files)
    assert {"gates-by-layer-bin.svg", "gate-shares-over-training-bin.svg"} <= set(files)
    assert "(chosen on the" in text


def test_a_second_report_is_the_same_and_leaves_nothing_behind(comparison):
    def contents():
        return {path: path.read_bytes() for path in comparison.rglob("*") if path.is_file()}

    write_report(comparison)
    first = contents()
    write_report(comparison)
    assert contents() == first


def test_a_single_run_shows_no_spread_and_no_difference(tmp_path):
    write_run(tmp_path, "bn", 0)
    write_run(tmp_path, "bin", 0)
    report = report_of(tmp_path)
    assert all(row["difference"] is None for row in report.entries["rows"])
    assert any("One run only of bn, bin" in note for note in report.entries["notes"])
    assert "±" not in report.html[report.html.index("<table") : report.html.index("</table>")]
    assert "±" not in report.terminal
    assert report.entries["rows"][0]["last"]["std"] is None


def test_nothing_is_called_higher_where_chance_could_do_it(tmp_path):
    for norm, accuracies in {"bn": (90.0, 91.0, 92.0), "in": (80.0, 81.1, 82.0), "bin": (91.0, 90.5, 93.0)}.items():
        for seed, accuracy in enumerate(accuracies):
            set_last_epoch(write_run(tmp_path, norm, seed, evaluation=("test",)), accuracy)
    report = report_of(tmp_path)
    for text in (report.html, report.markdown):
        assert "no clear difference" in text
        assert re.search(r"lower, p|: lower", text)
        assert not re.search(r"\b(higher|better|best norm|outperform\w*)\b", text)


def test_a_short_schedule_is_said_everywhere(tmp_path):
    for seed in range(2):
        write_run(tmp_path, "bin", seed, epochs=5, config={"full_epochs": 164})
    report = report_of(tmp_path)
    label = "short schedule: 5 of 164 epochs"
    assert report.html.count(label) > 8
    assert "Short schedule: 5 of 164 epochs" in report.markdown
    assert report.entries["schedule"] == label
    assert label in report.terminal
    assert all(label in path.read_text() for path in (tmp_path / "figures").glob("*.svg"))


def test_failures_are_listed_and_left_out_of_the_table(comparison):
    write_run(comparison, "bin", 3, record={"status": "diverged", "reason": "loss became nan in epoch 2"})
    write_run(comparison, "bin", 4, record={"status": "running"})
    (comparison / "bin" / "seed5").mkdir()
    write_run(comparison, "new", 0, record={"status": "diverged"})
    report = report_of(comparison)
    row = next(row for row in report.entries["rows"] if row["norm"] == "bin")
    assert (row["runs"], row["started"]) == (3, 6)
    assert [(each["norm"], each["seed"], each["status"]) for each in report.entries["failures"]] == [
        ("bin", 3, "diverged"),
        ("bin", 4, "unfinished"),
        ("bin", 5, "unfinished"),
        ("new", 0, "diverged"),
    ]
    assert "bin: 3 of 6 runs finished (1 diverged, 2 unfinished); the table shows these." in report.entries["notes"]
    assert next(row for row in report.entries["rows"] if row["norm"] == "new")["last"]["mean"] is None
    assert "loss became nan in epoch 2" in report.html
    assert "loss became nan in epoch 2" in report.markdown


def test_skipped_files_are_named(tmp_path):
    run = write_run(tmp_path, "bn", 0)
    record = json.loads((run / "run.json").read_text())
    record["data"]["skipped"] = [f"broken{place:02}.png" for place in range(25)]
    (run / "run.json").write_text(json.dumps(record))
    text = report_of(tmp_path).markdown
    assert "25 files that could not be read: broken00.png, " in text
    assert "and 5 more" in text


def test_runs_of_different_make_are_said_to_differ(comparison):
    versions = {"python": "3.12.0", "torch": "2.14.1", "binorm": "0.1.0"}
    write_run(comparison, "bn", 3, epochs=5, record={"versions": versions})
    report = report_of(comparison)
    assert "Runs differ in versions.python: 3.11.7 (12 runs); 3.12.0 (bn seed 3)." in report.entries["notes"]
    assert any("configuration.epochs: 4 (12 runs); 5 (bn seed 3)" in note for note in report.entries["notes"])
    page = report.html
    assert all(note in page for note in report.entries["notes"])


def test_without_the_baseline_there_are_no_differences(tmp_path):
    for seed in range(2):
        write_run(tmp_path, "bin", seed)
    report = report_of(tmp_path)
    assert report.entries["notes"] == ["There is no finished run of bn, so there are no differences to it."]
    assert report.entries["rows"][0]["difference"] is None


def test_runs_that_all_go_on_make_a_report_too(tmp_path):
    write_run(tmp_path, "bn", 0, record={"status": "running"})
    report = report_of(tmp_path)
    assert not report.finished
    assert report.entries["rows"] == []
    assert "None of 1 runs has finished yet." in report.html
    assert "binorm compare" in report.markdown
    assert "None of 1 runs has finished yet." in report.terminal


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there are no runs"):
        write_report(tmp_path)


def test_a_sample_that_is_no_picture_is_named(comparison):
    path = comparison / "bn" / "seed0" / "samples" / "train.png"
    path.write_text("<svg onload=alert(1)>")
    with pytest.raises(UserError, match=re.escape(str(path))):
        write_report(comparison)


def test_text_from_run_files_is_never_markup(tmp_path):
    folder = tmp_path / "digits"
    config = {"title": HOSTILE, "model": HOSTILE, HOSTILE: HOSTILE}
    record = {"command": HOSTILE, "machine": {"cpu": HOSTILE}, "settings": {HOSTILE: HOSTILE}, "started": HOSTILE}
    write_run(folder, "bn", 0, evaluation=("test", "alert(1)"), config=config, record=record)
    write_run(folder, "<i>", 0, record={"status": "diverged", "reason": HOSTILE})
    report = report_of(folder)
    assert "script" not in Tags(report.html).names
    assert "<script" not in report.html
    text = report.markdown
    assert "<script" not in text
    assert "<i>" not in text
    assert r"# &lt;script&gt;alert(1)&lt;/script&gt;\|\`\*x\*\`" in text
    assert "[bold]" in report_of(_titled(folder, "[bold]x[/nonsense]")).terminal


def _titled(folder, title):
    path = folder / "bn" / "seed0" / "config.yaml"
    path.write_text(f"title: '{title}'\nepochs: 4\nfull_epochs: 4\n")
    return folder


def test_sets_whose_names_differ_in_signs_alone_keep_their_own_files(tmp_path):
    write_run(tmp_path, "bn", 0, evaluation=("night", "night!", "夜"))
    write_report(tmp_path)
    names = {path.name for path in (tmp_path / "figures").glob("learning-curves*")}
    assert len(names) == 4
    assert {"learning-curves-night.svg", "learning-curves-night-2.svg", "learning-curves.svg"} < names


def test_gates_stand_beside_the_papers(comparison):
    report = report_of(comparison)
    gates = report.entries["gates"]
    assert list(gates) == ["bin"]
    assert list(gates["bin"]) == ["total", "stem", "stage1", "stage2", "stage3"]
    total = gates["bin"]["total"]
    assert total["count"] == 3 * sum(LAYERS.values())
    share = f"{100 * total['fractions'][0]:.1f} %"
    for text in (report.html, report.markdown):
        assert share in text
        assert "10.3 %" in text  # the paper's total
        assert "The paper's ResNet-110: 10 % and 72 %" in text.replace("&#39;", "'")
    assert "paper: ResNet-110, upper" in (comparison / "figures" / "gates-bin-stage3.svg").read_text()
    assert "paper" not in (comparison / "figures" / "gates-bin-stem.svg").read_text()


def test_pictures_of_responses_are_shown_where_a_run_holds_them(comparison):
    folder = comparison / "bin" / "seed1" / "responses"
    folder.mkdir()
    sample = (comparison / "bin" / "seed1" / "samples" / "train.png").read_bytes()
    (folder / "stage1-channel3.png").write_bytes(sample)
    report = report_of(comparison)
    assert "What the channels with the lowest gates see" in report.html
    assert (comparison / "figures" / "responses-stage1-channel3.png").read_bytes() == sample
    (folder / "stage1-channel3.png").write_text("<svg onload=alert(1)>")
    with pytest.raises(UserError, match="not a PNG"):
        write_report(comparison)


def test_with_validation_pictures_they_choose_the_best_epoch(tmp_path):
    for norm in ("bn", "bin"):
        run = write_run(tmp_path, norm, 0, evaluation=("test", "validation"))
        rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
        for row, (test, validation) in zip(rows, [(10, 60), (20, 80), (30, 70), (25, 75)], strict=True):
            row |= {"test_accuracy": str(test), "validation_accuracy": str(validation)}
        with (run / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    report = report_of(tmp_path)
    (row,) = (row for row in report.entries["rows"] if (row["norm"], row["evaluation"]) == ("bn", "test"))
    assert (row["last"]["mean"], row["best"]["mean"]) == (25, 20)  # not 30, which the test set would choose
    for text in report.everywhere:
        assert "validation" in text
        assert "test set" not in text
        assert "flatters" not in text

"""What every report says of the data of its runs: shared pictures, remarks, few pictures, and other data."""

import json

import pytest
from fake_domains import write_domain_run
from fake_runs import write_run
from fake_styles import write_style_run
from report_files import report_of

from binorm.experiments.common.errors import UserError
from binorm.experiments.report import write_report
from binorm.experiments.report.data import Overlap, overlap_sentences, step_text
from binorm.experiments.report.paper import write_table
from binorm.experiments.report.publication import write_figures

REMARK = "2 pictures are left out: <b>a$b$</b>.tif, caf\udce9.gif."


def write(folder, norm="bn", seed=0, sizes=None, **data):
    """A run whose record says this of its data."""
    run = write_run(folder, norm, seed, evaluation=tuple(sizes or {"test": 360}))
    say(run, evaluation=sizes or {"test": 360}, **data)
    return run


def say(run, **data):
    path = run / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"data": record["data"] | data}))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([("test", 1797, 0)], ["None of the 1,797 pictures of test is among the training pictures, pixel for pixel."]),
        (
            [("a", 70, 0), ("b", 1080, 0)],
            ["None of the pictures of a (70) and b (1,080) is among the training pictures, pixel for pixel."],
        ),
        (
            [("test", 360, 31)],
            [
                "31 of the 360 pictures of test are among the training pictures, pixel for pixel: its accuracy says "
                "less about unseen pictures."
            ],
        ),
        ([("test", 9, None)], ["Not looked for: whether pictures of test (9) are among the training pictures."]),
        ([], []),
    ],
)
def test_shared_pictures_in_words(found, said):
    assert overlap_sentences([Overlap(*each) for each in found]) == said


def test_shared_pictures_are_said_beside_the_table_and_where_there_are_any_everywhere(tmp_path):
    for seed in range(2):
        write(tmp_path, seed=seed, sizes={"test": 360, "clean": 50}, duplicates={"test": 31, "clean": 0})
    report = report_of(tmp_path)
    for text in (*report.everywhere, report.narrow.replace("\n", " ")):
        assert "31 of the 360 pictures of test are" in " ".join(text.split())
    assert "None of the 50 pictures of clean is" in report.html
    assert "None of the 50 pictures" not in report.terminal
    assert [each["duplicates"] for each in report.entries["overlaps"]] == [31, 0]


def test_an_older_run_says_nothing_of_shared_pictures(tmp_path):
    write_run(tmp_path, "bn", 0)
    report = report_of(tmp_path)
    assert report.entries["overlaps"] == report.entries["remarks"] == []
    assert "among the training pictures" not in report.html


def test_domain_reports_name_the_task(tmp_path):
    place = {"task": "adaptation", "method": "dann", "sources": ("art",), "target": "clipart"}
    say(write_domain_run(tmp_path / "a", "bn", 0, **place), duplicates={"clipart": 2}, remarks=[REMARK])
    report = report_of(tmp_path / "a")
    assert "2 of the 70 pictures of art→clipart are among the training pictures" in report.markdown
    assert "Small evaluation sets: of 70 pictures, one picture is 1.4 points." in report.terminal
    for domains, name in ((("art", "clipart"), "clipart"), (("art",), "clipart, only art")):
        run = write_domain_run(tmp_path / "m", "bn", 0, task="mixed", sources=domains, evaluation=("art", "clipart"))
        say(run, duplicates={"art": 0, "clipart": 1})
        assert f"1 of the 70 pictures of {name} is among" in report_of(tmp_path / "m").markdown


def test_remarks_are_notes_in_every_report_and_never_markup(tmp_path):
    say(write_run(tmp_path / "c", "bn", 0), remarks=[REMARK])
    say(write_style_run(tmp_path / "s", "bn", 0), remarks=[REMARK])
    say(
        write_domain_run(tmp_path / "m", "bn", 0, task="mixed", sources=("art", "b"), evaluation=("art",)),
        remarks=[REMARK],
    )
    for name in "csm":
        report = report_of(tmp_path / name)
        assert "About the data: 2 pictures are left out: &lt;b&gt;a$b$&lt;/b&gt;.tif, caf\\xe9.gif." in report.html
        assert r"> About the data: 2 pictures are left out: &lt;b&gt;a\$b\$" in report.markdown
        assert report.terminal.count("About the data: ") == 1
        assert len(next(line for line in report.narrow.splitlines() if "About the data" in line)) <= 80
        assert report.entries["remarks"][0].startswith("2 pictures")


def test_many_remarks_are_counted(tmp_path):
    write(tmp_path, remarks=[f"remark {place}" for place in range(33)])
    report = report_of(tmp_path)
    assert "remark 19" in report.html.partition("<h2>")[0]
    assert "And 13 more remarks" in report.html.partition("<h2>")[0]


def test_runs_of_different_data_are_never_in_one_table(tmp_path):
    write(tmp_path / "mine", "bn", 0, fingerprint="a" * 40, name="folder", source="day")
    write(tmp_path / "mine", "bn", 1, fingerprint="b" * 40, name="folder", source="night")
    for make in (
        write_report,
        lambda folder: write_table([folder], tmp_path / "table"),
        lambda folder: write_figures(folder, tmp_path / "figures"),
    ):
        with pytest.raises(UserError, match=r"bn seed 0 of day \(folder\).*aaaa\); bn seed 1 of night \(folder\)"):
            make(tmp_path / "mine")


def test_runs_of_different_tasks_may_have_different_data(tmp_path):
    for target in ("art", "clipart"):
        place = {"task": "adaptation", "method": "dann", "sources": ("photo",), "target": target}
        say(write_domain_run(tmp_path, "bn", 0, **place), fingerprint=target)
    assert "fingerprint" not in report_of(tmp_path).terminal


def test_an_older_run_beside_one_with_a_fingerprint_is_noted(tmp_path):
    write(tmp_path, "bn", 0, fingerprint="a" * 40)
    write(tmp_path, "bin", 0)
    assert "Runs differ in data.fingerprint" in report_of(tmp_path).terminal


@pytest.mark.parametrize(("pictures", "said"), [(31, "3.2"), (360, "0.28"), (499, "0.20"), (500, ""), (0, "")])
def test_what_one_picture_is_worth_in_a_small_set(pictures, said):
    assert step_text(pictures) == (f"one picture is {said} points" if said else "")


def test_a_small_set_and_missing_tests_are_said_beside_the_table(tmp_path):
    for norm in ("bn", "bin"):
        write(tmp_path, norm, sizes={"test": 31})
    report = report_of(tmp_path)
    assert "31 pictures · one picture is 3.2 points" in report.html
    assert "31 pictures: one picture is 3.2 points" in report.terminal
    assert "Fewer than two seeds have finished with bn and with bin: no test is possible." in report.html


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"remarks": "one"}, "remarks"),
        ({"remarks": [1]}, "remarks"),
        ({"duplicates": {"test": "3"}}, "duplicates"),
        ({"fingerprint": 7}, "fingerprint"),
        ({"evaluation": {"train": 3}}, "called 'train' as the training pictures are"),
    ],
)
def test_entries_of_another_make_are_named(tmp_path, data, problem):
    say(write(tmp_path), **data)
    with pytest.raises(UserError, match=problem):
        write_report(tmp_path)

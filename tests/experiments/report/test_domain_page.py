import json
import re

import pytest
from fake_domains import CLASSES, DOMAINS, level, write_adaptation, write_domain_run
from page_tags import Tags
from report_files import report_of

from binorm.experiments.common.errors import UserError
from binorm.experiments.report import write_report
from binorm.experiments.report.publication import write_figures
from binorm.experiments.report.significance import spread
from binorm.experiments.report.terminal import WIDTH

HOSTILE = "<script>alert(1)</script>|`*x*`[bold]"
PAIRS = [("art", "clipart"), ("clipart", "art")]
HEADINGS = [
    "Top-1 accuracy, %, last epoch",
    "What the norm changes",
    "What the method changes",
    "What is taken for what",
    "Where the pictures of the domains lie",
    "How much style is removed",
    "Samples",
    "Cost",
    "How this was made",
]


def generalize(folder, norms=("bn", "bin"), seeds=2, methods=("erm", "mixstyle"), **options):
    for target in ("art", "clipart"):
        for method in methods:
            for norm in norms:
                for seed in range(seeds):
                    write_domain_run(
                        folder,
                        norm,
                        seed,
                        task="generalization",
                        method=method,
                        sources=tuple(name for name in DOMAINS if name != target),
                        target=target,
                        accuracies={target: level("", target, method, norm, seed)},
                        **options,
                    )
    return folder


def mix(folder, norms=("bn", "bin"), seeds=2, **options):
    for sources in (DOMAINS, ("art",), ("clipart",)):
        for norm in norms:
            for seed in range(seeds):
                write_domain_run(folder, norm, seed, task="mixed", sources=sources, evaluation=DOMAINS, **options)
    return folder


def headings(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


@pytest.fixture(scope="module")
def adaptation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "office-home-dann"
    write_adaptation(folder, 2, pairs=PAIRS, pictures=10)
    return report_of(folder)


@pytest.fixture(scope="module")
def many_tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "office-home-dann"
    write_adaptation(folder, 1, confused=False)
    return report_of(folder)


def test_what_the_page_says_comes_in_order(adaptation):
    page = adaptation.html
    assert headings(page) == HEADINGS
    assert page.index("Batch statistics: source and target in one batch.") < page.index("<h2>")
    assert adaptation.entries["summary"] == (
        "Domain adaptation by source-only and dann with bn and bin, resnet18 from pretrained weights (default) on "
        "office-home, 2 tasks, 4 epochs of 50 steps, seeds 0 and 1, on Example CPU."
    )
    assert adaptation.entries["notes"] == adaptation.entries["failures"] == []
    for fact in ("binorm compare office-home-dann", "2.14.1", "Example CPU", "The full recipe"):
        assert fact in page


def test_the_numbers_are_those_of_the_files(adaptation):
    values = [level("art", "clipart", "dann", "bin", seed) for seed in (0, 1)]
    text = spread(values).text()
    for shown in adaptation.everywhere:
        assert text in shown
        assert "bin is better than bn in" in shown
        assert "37.23" in shown  # the paper's
    entries = adaptation.entries
    row = entries["rows"][-1]
    assert (row["method"], row["norm"]) == ("dann", "bin")
    assert list(row["tasks"]["art→clipart"]["last_by_seed"].values()) == pytest.approx(values)
    assert row["mean"]["last"]["count"] == 2
    assert entries["norms"][0]["compared"] == "bin"
    assert entries["published"][0]["values"] == [37.23, 49.38]
    assert len(entries["runs"]) == 16
    assert entries["runs"][0]["last"].keys() == {"clipart"}
    confusion = entries["confusions"][0]
    first = confusion["counts"]["bn"][0]
    assert confusion["recognized"]["bn"][0] == pytest.approx(100 * first[0] / sum(first))
    assert str(adaptation.folder.parent) not in adaptation.json


def test_the_page_stands_alone(adaptation):
    page = adaptation.html
    tags = Tags(page)
    assert "script" not in tags.names
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in tags.sources)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_the_markdown_refers_to_files_that_exist(adaptation):
    files = set(re.findall(r'src="figures/([^"]+)"', adaptation.markdown))
    assert files == {path.name for path in (adaptation.folder / "figures").iterdir()}
    assert {"confusions-dann.svg", "features-dann-art-to-clipart.svg", "gates-by-depth-bin.svg"} <= files
    assert {"gates-below-half-bin.svg", "gates-bin-dann-total.svg", "samples-art.png"} <= files
    assert "samples-train.png" not in files  # every domain has a sheet of its own


def test_a_second_report_is_the_same_and_leaves_nothing_behind(adaptation):
    def contents():
        return {path: path.read_bytes() for path in adaptation.folder.rglob("*") if path.is_file()}

    first = contents()
    write_report(adaptation.folder)
    assert contents() == first


def test_many_tasks_are_rows_and_fit_a_terminal(many_tasks):
    page = many_tasks.html
    table = page[page.index("<table") : page.index("</table>")]
    assert table.count("<tr") == 2 + 12 + 1
    assert '<tr class="total"><th class="norm" scope="row">mean</th>' in table
    assert "are drawn" not in page  # none is
    shown = many_tasks.terminal
    assert max(map(len, (line.rstrip() for line in shown.splitlines()))) <= WIDTH
    assert "…" not in shown
    assert all(task["label"] in shown for task in many_tasks.entries["tasks"])
    row = next(line for line in shown.splitlines() if "art→clipart" in line)
    means = [row["tasks"]["art→clipart"]["last"]["mean"] for row in many_tasks.entries["rows"]]
    assert row.split()[1:] == [*(f"{mean:.2f}" for mean in means), "37.23", "37.46"]


def test_one_run_only_shows_no_spread_and_no_interval(many_tasks):
    assert (
        "One run only of each: no spread, and nothing to tell a difference from chance." in many_tasks.entries["notes"]
    )
    shown = many_tasks.terminal
    assert "±" not in shown
    assert "and fewer than two seeds to tell it from chance" in shown
    assert "no interval" in many_tasks.html
    entries = many_tasks.entries
    assert entries["rows"][0]["tasks"]["art→clipart"]["last"]["std"] is None
    assert entries["norms"][0]["overall"] is None


def test_generalization_shows_the_epoch_that_validation_pictures_choose(tmp_path):
    report = report_of(generalize(tmp_path / "pacs", confused=False))
    assert report.entries["kind"] == "generalization"
    assert [task["label"] for task in report.entries["tasks"]] == ["art", "clipart"]
    cell = report.entries["rows"][0]["tasks"]["art"]
    assert cell["best"] != cell["last"]
    for shown in report.everywhere:
        assert "epoch chosen on validation pictures of the training domains" in shown
        assert spread(list(cell["best_by_seed"].values())).text() in shown
        assert "all training domains in one batch" in shown
        assert "held-out domain" in shown


def test_the_best_test_epoch_is_not_shown(adaptation):
    best = adaptation.entries["rows"][0]["tasks"]["art→clipart"]["best_by_seed"].values()
    assert spread(list(best)).text() not in adaptation.html
    entry = adaptation.entries
    assert entry["best_label"] == "best epoch (chosen on the test set)"
    assert entry["rows"][0]["tasks"]["art→clipart"]["best"]["count"] == 2


def test_mixed_training_shows_domains_curves_and_single_domains(tmp_path):
    report = report_of(mix(tmp_path / "mixed", pictures=5, seeds=1))
    page = report.html
    assert headings(page) == [
        *(heading for heading in HEADINGS[:6] if heading != "What the method changes"),
        "Learning curves",
        *HEADINGS[6:],
    ]
    assert [(row["method"], row["norm"]) for row in report.entries["rows"]] == [("", "bn"), ("", "bin")]
    assert [row["method"] for row in report.entries["single_rows"]] == ["only-art"] * 2 + ["only-clipart"] * 2
    assert "Trained on a single domain" in page
    assert "bin trained on all domains" in page
    assert (tmp_path / "mixed" / "figures" / "learning-curves-real-world.svg").exists()
    assert "only clipart" in report.terminal
    assert "networks of single domains beside it" in report.entries["summary"]


def test_single_domains_alone_make_a_report_too(tmp_path):
    write_domain_run(tmp_path / "x", "bin", 0, task="mixed", sources=("art",), evaluation=DOMAINS)
    report = report_of(tmp_path / "x")
    assert report.entries["rows"] == []
    assert "only art" in report.html
    assert report.terminal


def test_other_norms_than_bn_and_bin_have_their_place(tmp_path):
    report = report_of(generalize(tmp_path / "pacs", norms=("gn", "in"), seeds=1, methods=("mixstyle",)))
    page = report.html
    assert report.entries["norms"] == report.entries["methods"] == []
    assert "There is no finished run of bn, so there are no differences to it." in report.entries["notes"]
    assert any("There is no finished run of erm" in note for note in report.entries["notes"])
    assert "gn − in" in (tmp_path / "pacs" / "figures" / "confusions-mixstyle.svg").read_text()
    assert "How much style is removed" not in page


def test_failures_are_named_in_full_and_left_out(tmp_path):
    folder = generalize(tmp_path / "pacs", confused=False)
    place = {"task": "generalization", "sources": ("clipart",), "target": "art", "confused": False}
    write_domain_run(folder, "bin", 2, method="erm", record={"status": "diverged", "reason": "loss is nan"}, **place)
    (folder / "mixstyle" / "without-art" / "bn" / "seed2").mkdir()
    report = report_of(folder)
    assert [(each["norm"], each["seed"], each["status"]) for each in report.entries["failures"]] == [
        ("erm, without-art, bin", 2, "diverged"),
        ("mixstyle, without-art, bn", 2, "unfinished"),
    ]
    assert "erm, bin: 4 of 5 runs finished (1 diverged); the table shows these." in report.entries["notes"]
    for shown in (report.html, report.markdown):
        assert "loss is nan" in shown
        assert "2 of 3 runs" in shown
        assert "2 of 3 seeds" in shown
    assert "2 of 3 runs" in report.terminal


def test_runs_none_of_which_finished_make_a_report(tmp_path):
    write_adaptation(tmp_path / "x", 1, pairs=PAIRS[:1], record={"status": "running"})
    report = report_of(tmp_path / "x")
    entries = report.entries
    assert (entries["rows"], entries["norms"], entries["statistics"]) == ([], [], "")
    assert "None of 4 runs has finished yet." in report.html
    assert report.terminal


def test_what_runs_may_not_differ_in_is_noted(tmp_path):
    folder = tmp_path / "x"
    write_adaptation(folder, 1, pairs=PAIRS, confused=False)
    assert not any("Runs differ" in note for note in report_of(folder).entries["notes"])
    place = {"task": "adaptation", "method": "dann", "sources": ("art",), "target": "clipart", "confused": False}
    run = write_domain_run(folder, "bn", 1, config={"lr": 0.3, "statistics": "separate"}, **place)
    record = json.loads((run / "run.json").read_text())
    record["data"]["train"] = 7
    (run / "run.json").write_text(json.dumps(record))
    report = report_of(folder)
    assert any(
        "configuration.lr: 0.1 (8 runs); 0.3 (dann, art-to-clipart, bn seed 1)" in note
        for note in report.entries["notes"]
    )
    assert (
        "art→clipart: Runs differ in data.train: 100 (4 runs); 7 (dann, art-to-clipart, bn seed 1)."
        in report.entries["notes"]
    )
    assert "source and target in one batch; in other runs separate forward passes" in report.entries["statistics"]


@pytest.mark.parametrize(
    ("statistics", "words"),
    [("separate", "separate forward passes of source and target"), ("per-domain", "separate running statistics per")],
)
def test_how_statistics_were_formed_stands_at_the_top(tmp_path, statistics, words):
    write_adaptation(tmp_path / "x", 1, pairs=PAIRS[:1], confused=False, config={"statistics": statistics})
    report = report_of(tmp_path / "x")
    for shown in report.everywhere:
        assert words in shown


def test_a_short_schedule_is_said_everywhere(tmp_path):
    write_adaptation(tmp_path / "x", 1, pairs=PAIRS[:1], config={"full_epochs": 40})
    report = report_of(tmp_path / "x")
    label = "short schedule: 4 of 40 epochs"
    assert label in report.html
    assert label in report.terminal
    assert all(label in path.read_text() for path in (tmp_path / "x" / "figures").glob("*.svg"))


@pytest.mark.parametrize("file", ["confusion.json", "features.safetensors"])
def test_a_damaged_file_is_named(tmp_path, file):
    write_adaptation(tmp_path / "x", 1, pairs=PAIRS[:1], pictures=4)
    path = tmp_path / "x" / "dann" / "art-to-clipart" / "bin" / "seed0" / file
    path.write_bytes(b"{")
    with pytest.raises(UserError, match=re.escape(str(path))):
        write_report(tmp_path / "x")


def test_text_from_run_files_is_never_markup(tmp_path):
    folder = tmp_path / "runs"
    config = {"title": HOSTILE, "model": HOSTILE, HOSTILE: HOSTILE, "weights": HOSTILE, "statistics": HOSTILE}
    classes, name = (HOSTILE, *CLASSES[1:]), HOSTILE.replace("/", "")
    for norm in ("bn", "<i>"):
        write_domain_run(
            folder,
            norm,
            0,
            task="mixed",
            sources=(name, "b"),
            evaluation=(name, "b"),
            classes=classes,
            config=config,
            pictures=4,
        )
    record = {"status": "diverged", "reason": HOSTILE, "command": HOSTILE}
    write_domain_run(folder, "<b>", 0, task="mixed", sources=("<u>",), evaluation=("b",), record=record)
    report = report_of(folder)
    page = report.html
    assert "script" not in Tags(page).names
    assert not {"i", "b", "u"} & Tags(page).names
    text = report.markdown
    assert "<script" not in text
    assert "<i>" not in text
    assert "[bold]" in report.terminal


def test_figures_for_print_are_those_of_several_domains(tmp_path, adaptation):
    folder = adaptation.folder
    paths = write_figures(folder, tmp_path / "out", "svg")
    names = {path.stem for path in paths}
    assert {"confusions-dann", "features-dann-art-to-clipart", "gates-by-depth-bin", "gates-bin-dann"} <= names
    assert not any(name.startswith("learning") for name in names)
    captions = (tmp_path / "out" / "captions.txt").read_text()
    assert all(path.name in captions and path.stat().st_size > 1000 for path in paths)
    write_adaptation(tmp_path / "x", 1, pairs=PAIRS[:1], record={"status": "running"})
    with pytest.raises(UserError, match="no finished runs"):
        write_figures(tmp_path / "x", tmp_path / "out")


@pytest.mark.parametrize(
    ("config", "label"),
    [
        ({"full_steps": 50}, None),
        ({"full_steps": 80}, "short schedule: epochs of 50 of 80 steps"),
        ({"full_steps": 80, "full_epochs": 40}, "short schedule: 4 of 40 epochs, 50 of 80 steps each"),
        ({"full_steps": 20, "full_epochs": 40}, "short schedule: 4 of 40 epochs"),
        ({"full_steps": 0, "batch_size": 1}, "short schedule: epochs of 50 of 100 steps"),  # a pass over 100 pictures
        ({"full_steps": 0, "batch_size": 4}, None),
        ({}, None),
    ],
)
def test_a_cut_of_the_steps_is_told_as_one_of_the_epochs_is(tmp_path, config, label):
    place = {"task": "adaptation", "method": "dann", "sources": ("art",), "target": "clipart"}
    write_domain_run(tmp_path, "bn", 0, **place, config=config)
    assert report_of(tmp_path).entries["schedule"] == label


def test_a_run_from_before_full_steps_is_held_against_the_recipe_of_its_name(tmp_path):
    place = {"task": "adaptation", "method": "dann", "sources": ("art",), "target": "clipart"}
    write_domain_run(tmp_path, "bn", 0, **place, config={"name": "pacs-dann", "steps": 20})
    assert report_of(tmp_path).entries["schedule"] == "short schedule: epochs of 20 of 50 steps"

import json

import numpy
import pytest
from fake_domains import write_domain_run

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.figures.confusions import ConfusionRow, confusion_figure
from binorm.experiments.report.figures.theme import SCREEN, for_print
from binorm.experiments.report.parts.domain_confusions import confusions, largest_changes, pair_of
from binorm.experiments.runs.domains import read_confusions, read_domain_runs, tasks_of

HOSTILE = "--><script>alert(1)</script> $x_1$ &"


def write(folder, norm, seed, counts, source="photo", target="art", classes=("a", "b")):
    run = write_domain_run(
        folder, norm, seed, task="adaptation", method="dann", sources=(source,), target=target, confused=False
    )
    if counts is not None:
        (run / "confusion.json").write_text(json.dumps({"classes": classes, "sets": {target: counts}}))
    return run


def found_in(folder):
    runs = read_domain_runs(folder)
    return confusions(runs, tasks_of(runs))


def test_counts_are_summed_over_seeds_and_tasks_of_one_target(tmp_path):
    write(tmp_path, "bn", 0, [[8, 2], [1, 9]])
    write(tmp_path, "bn", 1, [[6, 4], [3, 7]])
    write(tmp_path, "bn", 0, [[10, 0], [5, 5]], source="sketch")
    write(tmp_path, "bin", 0, [[10, 0], [0, 10]])
    write(tmp_path, "bin", 1, None)
    (shown,) = found_in(tmp_path)
    assert (shown.method, shown.domain, shown.tasks) == ("dann", "art", ("photo→art", "sketch→art"))
    assert shown.counts["bn"].tolist() == [[24, 6], [9, 21]]
    assert shown.percent("bn").tolist() == [[80.0, 20.0], [30.0, 70.0]]
    assert shown.percent("bin").tolist() == [[100.0, 0.0], [0.0, 100.0]]
    assert largest_changes(shown, "bn", "bin") == "b +30.0, a +20.0"


def test_classes_without_pictures_are_blank(tmp_path):
    write(tmp_path, "bn", 0, [[0, 0], [1, 3]])
    (shown,) = found_in(tmp_path)
    assert numpy.isnan(shown.percent("bn")[0]).all()
    assert shown.percent("bn")[1].tolist() == [25.0, 75.0]


def test_tasks_with_other_classes_stand_apart(tmp_path):
    write(tmp_path, "bn", 0, [[1, 0], [0, 1]])
    write(tmp_path, "bn", 0, [[1, 0], [0, 1]], source="sketch", classes=("a", "c"))
    assert [shown.classes for shown in found_in(tmp_path)] == [("a", "b"), ("a", "c")]


def test_validation_pictures_are_not_a_domain(tmp_path):
    write_domain_run(tmp_path, "bn", 0, task="generalization", method="erm", sources=("art",), target="photo")
    assert [shown.domain for shown in found_in(tmp_path)] == ["photo"]


def test_runs_without_the_file_are_left_out(tmp_path):
    write(tmp_path, "bn", 0, None)
    assert found_in(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"classes": ["a", "b"], "sets": {"art": [[1, 2]]}}',
        '{"classes": ["a", "b"], "sets": {"art": [[1, 2], [3]]}}',
        '{"classes": ["a", "b"], "sets": {"art": [[1, 2], [3, -4]]}}',
        '{"classes": ["a", "b"], "sets": {"art": [[1, 2], [3, 1.5]]}}',
        '{"classes": ["a", "b"], "sets": {"art": [[1, 2], [3, true]]}}',
        '{"classes": ["a", "b"], "sets": {"art": [[1, 2], [3, 99999999999999999999]]}}',
        '{"classes": [], "sets": {"art": []}}',
    ],
)
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, content):
    run = write(tmp_path, "bn", 0, None)
    (run / "confusion.json").write_text(content)
    with pytest.raises(UserError, match=r"confusion\.json cannot be read.*Delete"):
        read_confusions(run)


def test_two_norms_are_shown_batch_norm_first():
    assert pair_of(["bn", "in", "bn+in", "bin"]) == ("bn", "bin")
    assert pair_of(["bn", "gn"]) == ("bn", "gn")
    assert pair_of(["in", "bin"]) == ("in", "bin")
    assert pair_of(["in", "gn"]) == ("in", "gn")
    assert pair_of(["bin"]) == ("bin",)
    assert pair_of(["bn"]) == ("bn",)
    assert pair_of([]) == ()


def drawing(size, norms=("bn", "bin"), **counts):
    matrix = numpy.eye(size, dtype=numpy.int64) * 3 + 1
    given = {norm: counts.get(norm, matrix) for norm in norms}
    percent = {norm: 100 * each / each.sum(axis=1, keepdims=True) for norm, each in given.items()}
    return ConfusionRow(HOSTILE, tuple(f"{HOSTILE} {place}" for place in range(size)), percent)


def test_numbers_stand_in_the_cells_of_few_classes_and_names_are_text():
    other = numpy.array([[2, 2], [0, 4]])
    svg = confusion_figure("title", [drawing(2, bin=other)], ("bn", "bin"), None, SCREEN).decode()
    for number in (">80<", ">20<", ">50<", ">100<", ">−30<", ">30<"):
        assert number in svg
    assert ">0<" not in svg
    assert "<script" not in svg
    assert ">bin − bn<" in svg


def test_many_classes_have_no_numbers_and_very_many_no_names():
    some = confusion_figure("title", [drawing(30)], ("bn", "bin"), None, SCREEN).decode()
    assert "alert" in some
    assert ">80<" not in some
    many = confusion_figure("title", [drawing(65)], ("bn", "bin"), None, SCREEN).decode()
    assert many.count("alert") == 1  # the domain
    assert len(many) < 80_000


def test_one_norm_alone_and_a_norm_that_is_missing_somewhere_are_drawn():
    assert b">bn<" in confusion_figure("title", [drawing(3, ("bn",))], ("bn",), None, SCREEN)
    rows = [drawing(3, bin=numpy.eye(3, dtype=numpy.int64)), drawing(3, ("bn",))]
    assert confusion_figure("title", rows, ("bn", "bin"), None, SCREEN).count(b"<image") == 6


def test_no_difference_is_not_drawn():
    assert confusion_figure("title", [drawing(3)], ("bn", "bin"), None, SCREEN).count(b"<image") == 2


@pytest.mark.parametrize("file_format", ["svg", "pdf", "png"])
def test_figures_are_alike_every_time(file_format):
    output = for_print(file_format)
    first, second = (confusion_figure("title", [drawing(3)], ("bn", "bin"), None, output) for _ in range(2))
    assert first == second

import math
from dataclasses import replace

import pytest
from fake_domains import DOMAINS, write_domain_run
from scipy import stats

from binorm.experiments.report.parts.domain_rows import (
    accuracy_table,
    domain_rows,
    method_comparisons,
    norm_comparisons,
)
from binorm.experiments.report.parts.published_domains import published_rows
from binorm.experiments.report.scores import leading
from binorm.experiments.runs.domains import Task, read_domain_runs, tasks_of

# method -> norm -> target -> top-1 by seed, after the last epoch
ACCURACIES = {
    "source-only": {
        "bn": {"art": (40.0, 41.0, 42.0), "sketch": (30.0, 31.0, 35.0)},
        "bin": {"art": (41.0, 43.0, 43.5), "sketch": (29.0, 32.0, 34.0)},
    },
    "dann": {
        "bn": {"art": (50.0, 50.5, 52.0), "sketch": (38.0, 40.0, 42.0)},
        "bin": {"art": (52.0, 51.0, 54.0), "sketch": (39.0, 42.0, 42.5)},
    },
}


def write(folder, accuracies=ACCURACIES, **options):
    for method, norms in accuracies.items():
        for norm, targets in norms.items():
            for target, values in targets.items():
                for seed, value in enumerate(values):
                    write_domain_run(
                        folder,
                        norm,
                        seed,
                        task="adaptation",
                        method=method,
                        sources=("photo",),
                        target=target,
                        accuracies={target: value},
                        confused=False,
                        **options,
                    )
    runs = read_domain_runs(folder)
    tasks = tasks_of(runs)
    return domain_rows(runs, tasks), tasks


def test_cells_are_those_of_the_files_and_means_are_formed_by_seed(tmp_path):
    rows, tasks = write(tmp_path)
    assert [(row.method, row.norm) for row in rows] == [
        ("source-only", "bn"),
        ("source-only", "bin"),
        ("dann", "bn"),
        ("dann", "bin"),
    ]
    assert [task.label for task in tasks] == ["photo→art", "photo→sketch"]
    bn = rows[0]
    assert [cell.last for cell in bn.cells] == [{0: 40.0, 1: 41.0, 2: 42.0}, {0: 30.0, 1: 31.0, 2: 35.0}]
    assert bn.mean.last == {0: 35.0, 1: 36.0, 2: 38.5}
    assert bn.mean.last_spread.text() == "36.50 ± 1.80"
    table = accuracy_table(rows, (), tasks, "task", False, "")
    assert [[cell.strong for cell in row.cells] for row in table.rows[:2]] == [
        [False, True, False],
        [True, False, True],
    ]
    assert all(not cell.lines for row in table.rows for cell in row.cells)


def test_a_mean_takes_only_seeds_that_finished_everywhere(tmp_path):
    write(tmp_path)
    (tmp_path / "dann" / "photo-to-art" / "bin" / "seed1" / "run.json").unlink()
    runs = read_domain_runs(tmp_path)
    row = domain_rows(runs, tasks_of(runs))[-1]
    assert row.cells[0].runs_text == "2 of 3 runs"
    assert row.mean.last == {0: 45.5, 2: 48.25}
    assert row.mean.runs_text == "2 of 3 seeds"


def test_a_single_task_has_no_mean(tmp_path):
    rows, tasks = write(tmp_path, {"dann": {"bn": {"art": (50.0,)}}})
    assert rows[0].mean is None
    assert not accuracy_table(rows, (), tasks, "task", False, "").rows[0].cells[0].strong


def test_norms_are_compared_within_each_method(tmp_path):
    rows, tasks = write(tmp_path)
    plain, dann = norm_comparisons(rows, tasks)
    assert [(each.within, each.label) for each in (plain, dann)] == [("source-only", "bin − bn"), ("dann", "bin − bn")]
    # by seed: art +2.0, +0.5, +2.0; sketch +1.0, +2.0, +0.5
    assert [each.mean for each in dann.tasks] == pytest.approx([1.5, 3.5 / 3])
    assert dann.tasks[0].test.p_value == pytest.approx(stats.ttest_rel((52.0, 51.0, 54.0), (50.0, 50.5, 52.0)).pvalue)
    expected = stats.ttest_1samp([1.5, 1.25, 1.25], 0.0)
    assert dann.mean == dann.overall.mean == pytest.approx(4 / 3)
    assert dann.overall.p_value == pytest.approx(expected.pvalue)
    assert (dann.overall.low, dann.overall.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert (dann.signs.above, dann.signs.below, dann.signs.p_value) == (2, 0, 0.5)
    assert (plain.signs.above, plain.signs.below) == (1, 1)
    raw = sorted(each.overall.p_value for each in (plain, dann))
    assert sorted(each.p_holm for each in (plain, dann)) == pytest.approx([2 * raw[0], max(2 * raw[0], raw[1])])


def test_methods_are_compared_within_each_norm(tmp_path):
    rows, tasks = write(tmp_path)
    bn, bin_ = method_comparisons(rows, tasks, "source-only")
    assert [(each.within, each.label) for each in (bn, bin_)] == [
        ("bn", "dann − source-only"),
        ("bin", "dann − source-only"),
    ]
    assert bn.mean == pytest.approx((29.5 / 3 + 24 / 3) / 2)
    assert method_comparisons(rows, tasks, None) == ()


def test_a_sentence_counts_tasks_and_gives_the_mean_with_its_interval(tmp_path):
    rows, tasks = write(tmp_path)
    sentence = norm_comparisons(rows, tasks)[1].sentence()
    assert sentence.startswith(
        "dann: bin is better than bn in 2 of 2 tasks and worse in 0 (exact sign test: p = 0.500); mean difference +1.33"
    )
    assert sentence.endswith("points, p = 0.004, Holm = 0.008: higher.")


def test_a_difference_that_correction_undoes_is_said_to_be_so(tmp_path):
    rows, tasks = write(tmp_path)
    plain, dann = norm_comparisons(rows, tasks)
    assert (plain.verdict, dann.verdict) == ("no clear difference", "higher")
    assert replace(dann, p_holm=0.051).verdict == "higher before correction"
    assert replace(dann, p_holm=math.nan).verdict == "higher"
    assert replace(plain, p_holm=1.0).verdict == "no clear difference"


def test_the_mean_is_that_of_the_interval_where_runs_are_missing(tmp_path):
    write(tmp_path)
    (tmp_path / "dann" / "photo-to-art" / "bin" / "seed0" / "run.json").unlink()
    runs = read_domain_runs(tmp_path)
    found = norm_comparisons(domain_rows(runs, tasks_of(runs)), tasks_of(runs))[1]
    assert [each.pairs for each in found.tasks] == [2, 3]
    assert found.mean == found.overall.mean == pytest.approx((1.25 + 1.25) / 2)


def test_other_norms_follow_bin(tmp_path):
    accuracies = {"dann": {norm: {"art": (50.0, 51.0)} for norm in ("zeta", "bin", "in", "bn")}}
    rows, tasks = write(tmp_path, accuracies)
    found = norm_comparisons(rows, tasks)
    assert [each.compared for each in found] == ["bin", "in", "zeta"]
    assert [each.compared for each in leading(found)] == ["bin"]
    assert [each.compared for each in leading(found[1:])] == ["in", "zeta"]


def test_one_seed_gives_a_difference_without_an_interval(tmp_path):
    accuracies = {"dann": {"bn": {"art": (50.0,)}, "bin": {"art": (51.5,)}}}
    rows, tasks = write(tmp_path, accuracies)
    found = norm_comparisons(rows, tasks)[0]
    assert (found.mean, found.overall, found.verdict) == (1.5, None, "no interval")
    assert math.isnan(found.p_holm)
    assert found.sentence() == "dann: bin − bn: +1.50 points, and fewer than two seeds to tell it from chance."


def test_tasks_without_a_pair_are_left_out_of_a_comparison(tmp_path):
    accuracies = {"dann": {"bn": {"art": (50.0, 51.0)}, "bin": {"art": (51.0, 53.0), "sketch": (40.0, 41.0)}}}
    rows, tasks = write(tmp_path, accuracies)
    found = norm_comparisons(rows, tasks)[0]
    assert (found.paired, found.mean, found.tasks[1].pairs) == (1, 1.5, 0)
    assert norm_comparisons(rows[:1], tasks) == ()


def test_many_tasks_are_rows(tmp_path):
    rows, tasks = write(tmp_path)
    upright = accuracy_table(rows, (), tasks, "task", False, "")
    assert [head.text for head in upright.columns] == ["photo→art", "photo→sketch", "mean"]
    assert [(row.head.group, row.head.norm) for row in upright.rows] == [(row.method, row.norm) for row in rows]
    assert upright.groups == []
    many = accuracy_table([replace(row, cells=row.cells * 3) for row in rows], (), tasks * 3, "task", False, "")
    assert (many.corner, many.groups) == ("task", [("source-only", 2), ("dann", 2)])
    assert many.rows[-1].head.total
    assert [row.cells[1].text for row in upright.rows] == [cell.text for cell in many.rows[1].cells]


def task(source, target):
    return Task(f"{source}-to-{target}", f"{source}→{target}", target, (source,) if source else (), target)


def test_published_figures_are_found_by_domains_and_method():
    digits = [task("mnist", "mnist-m"), task("mnist", "usps"), task("usps", "mnist")]
    rows = [(method, norm) for method in ("source-only", "dann") for norm in ("bn", "bin")]
    found = published_rows("adaptation", "digit-domains", rows, digits)
    assert [(row.method, row.norm, row.values) for row in found] == [
        ("source-only", None, (52.25, None, None)),
        ("dann", None, (76.66, None, None)),
        ("dann", None, (None, 77.1, 73.0)),
    ]
    assert all(row.mean is None for row in found)
    assert published_rows("adaptation", "digit-domains", [("coral", "bn")], digits) == ()
    assert published_rows("generalization", "digit-domains", rows, digits) == ()


def test_the_papers_tables_of_office_home_stand_beside_their_norms():
    pairs = [task(source, target) for source in DOMAINS for target in DOMAINS if source != target]
    bn, bin_ = published_rows("adaptation", "Office_Home", [("dann", "bn"), ("dann", "bin")], pairs)
    assert (bn.values[0], bn.values[-1], bin_.values[5]) == (37.23, 71.17, 60.55)
    assert (bn.norm, bin_.norm) == ("bn", "bin")
    assert bn.mean == pytest.approx(52.21, abs=0.01)
    assert "ResNet-18" in bn.remark
    mixed = published_rows("mixed", "office-home", [("", "bn"), ("", "in")], [task("", name) for name in DOMAINS])
    assert [(row.norm, row.values) for row in mixed] == [("bn", (70.04, 76.93, 88.47, 80.38))]
    assert published_rows("mixed", "pacs", [("", "bn")], [task("", name) for name in DOMAINS]) == ()

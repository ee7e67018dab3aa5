import math

import pytest
from fake_runs import write_run

from binorm.experiments.report.scores import (
    BEST,
    LAST,
    SECONDS,
    STARTED,
    Score,
    Scores,
    compare,
    corrected,
    leaders,
    mean_group,
    scores_of,
)
from binorm.experiments.runs.reading import read_runs


def test_every_column_of_the_metrics_is_a_score(tmp_path):
    run = write_run(tmp_path, "bn", 1, evaluation=("test", "test_b"))
    write_run(tmp_path, "bn", 2, record={"status": "running"})
    (first, _) = read_runs(tmp_path)
    found = {(score.data, score.metric): score.value for score in scores_of([first], "digits")}
    assert found["test", LAST] == first.accuracies("test")[-1]
    assert found["test_b", LAST] == first.accuracies("test_b")[-1]
    assert found["test", BEST] == max(first.accuracies("test"))
    assert found["", "train_loss"] == first.metrics["train_loss"][-1]
    assert found["test_b", "loss"] == first.metrics["test_b_loss"][-1]
    assert found["", SECONDS] == first.record.seconds
    assert run.exists()


def test_runs_that_did_not_finish_are_counted_and_have_no_score(tmp_path):
    write_run(tmp_path, "bn", 1)
    write_run(tmp_path, "bn", 2, record={"status": "running"})
    scores = Scores(scores_of(read_runs(tmp_path)))
    assert scores.by_seed(STARTED, "bn") == {1: 1.0, 2: 1.0}
    group = scores.group("bn", "test")
    assert (list(group.last), group.started, group.runs_text) == ([1], 2, "1 of 2 runs")
    assert (scores.group("bn", None).last, scores.group("in", "test").started) == ({}, 0)


def test_scores_are_grouped_by_everything_but_their_seed():
    place = ("dann", "art", "bn")
    scores = Scores(
        [
            Score("r", *place, 0, "test", LAST, 1.0),
            Score("r", *place, 1, "test", LAST, 2.0),
            Score("r", "erm", "art", "bn", 0, "test", LAST, 3.0),
            Score("r", *place, 0, "", SECONDS, 9.0),
        ]
    )
    assert scores.by_seed(LAST, "bn", "test", "art", "dann", "r") == {0: 1.0, 1: 2.0}
    assert scores.by_seed(LAST, "bn", "test", "art", "erm", "r") == {0: 3.0}
    assert scores.by_seed(LAST, "bn", "test") == {}
    assert scores.all_values(SECONDS, "bn") == [9.0]


def test_the_mean_takes_seeds_that_finished_everywhere():
    scores = Scores(
        Score("", "", task, "bn", seed, "test", metric, value)
        for task, values in (("a", {0: 1.0, 1: 2.0}), ("b", {1: 4.0}))
        for seed, value in values.items()
        for metric in (LAST, BEST, STARTED)
    )
    groups = [scores.group("bn", "test", task) for task in ("a", "b")]
    assert mean_group(groups).last == {1: 3.0}


def test_leaders_are_those_that_none_exceeds_to_the_digits_shown():
    assert leaders([1.001, 1.004, 0.5]) == [True, True, False]
    assert leaders([1.001, 1.004, 0.5], digits=3) == [False, True, False]
    assert leaders([1.0, 0.5, math.nan], lowest=True) == [False, True, False]
    assert leaders([1.0]) == leaders([math.nan]) == [False]
    assert leaders([1.0, math.nan]) == [False, False]


def test_columns_of_a_comparison_are_corrected_together_and_so_are_comparisons():
    columns = {"a": ({0: 2.0, 1: 3.0, 2: 4.5}, {0: 1.0, 1: 1.0, 2: 3.0}), "b": ({0: 1.0, 1: 2.0}, {0: 1.1, 1: 1.0})}
    found = compare("bin", "bn", columns)
    assert [each.pairs for each in found.tasks] == [3, 2]
    raw = sorted(each.test.p_value for each in found.tasks)
    assert sorted(each.p_holm for each in found.tasks) == pytest.approx([2 * raw[0], max(2 * raw[0], raw[1])])
    assert math.isnan(found.p_holm)
    none = compare("bin", "bn", {"a": ({0: 1.0}, {1: 1.0})})
    both = corrected([found, none, found])
    assert len(both) == 2
    assert both[0].p_holm == pytest.approx(min(1.0, 2 * found.overall.p_value))

import json

import pytest
from fake_domains import DOMAINS, write_domain_run
from fake_runs import write_run

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes import KINDS
from binorm.experiments.runs.domains import (
    kind_of,
    main_runs,
    methods_of,
    read_domain_runs,
    tasks_of,
)
from binorm.experiments.runs.reading import task_of


def adapt(folder, method="dann", norm="bn", seed=0, source="photo", target="sketch", **options):
    return write_domain_run(
        folder, norm, seed, task="adaptation", method=method, sources=(source,), target=target, **options
    )


def test_runs_come_by_method_then_task_norm_and_seed(tmp_path):
    for method in ("mcd", "dann", "source-only"):
        adapt(tmp_path, method)
    adapt(tmp_path, norm="bin", seed=10)
    adapt(tmp_path, norm="bin", seed=2)
    adapt(tmp_path, source="art")
    found = [(each.method, each.task, each.norm, each.seed) for each in read_domain_runs(tmp_path)]
    assert found == [
        ("source-only", "photo-to-sketch", "bn", 0),
        ("dann", "art-to-sketch", "bn", 0),
        ("dann", "photo-to-sketch", "bn", 0),
        ("dann", "photo-to-sketch", "bin", 2),
        ("dann", "photo-to-sketch", "bin", 10),
        ("mcd", "photo-to-sketch", "bn", 0),
    ]


def test_tasks_of_adaptation_name_both_domains(tmp_path):
    adapt(tmp_path)
    write_domain_run(tmp_path, "bn", 0, task="adaptation", method="dann", sources=("art", "photo"), target="sketch")
    runs = read_domain_runs(tmp_path)
    assert kind_of(runs) == "adaptation"
    assert [(task.label, task.evaluation) for task in tasks_of(runs)] == [
        ("art, photo→sketch", "sketch"),
        ("photo→sketch", "sketch"),
    ]


def test_tasks_of_generalization_are_the_domains_left_out(tmp_path):
    for target in ("sketch", "photo"):
        write_domain_run(tmp_path, "bn", 0, task="generalization", method="erm", sources=("art",), target=target)
    runs = read_domain_runs(tmp_path)
    assert kind_of(runs) == "generalization"
    assert [(task.folder, task.label, task.evaluation) for task in tasks_of(runs)] == [
        ("without-photo", "photo", "photo"),
        ("without-sketch", "sketch", "sketch"),
    ]


def test_mixed_training_has_a_task_for_each_domain_and_single_domains_beside_it(tmp_path):
    for sources in (DOMAINS, ("art",), ("real_world",)):
        write_domain_run(tmp_path, "bn", 0, task="mixed", sources=sources, evaluation=(*DOMAINS, "validation"))
    runs = read_domain_runs(tmp_path)
    assert kind_of(runs) == "mixed"
    assert [task.label for task in tasks_of(runs)] == list(DOMAINS)
    assert [each.method for each in main_runs(runs)] == [""]
    assert [each.method for each in runs if each not in main_runs(runs)] == ["only-art", "only-real_world"]
    assert methods_of(runs) == ["", "only-art", "only-real_world"]
    assert [each.label for each in runs] == ["bn", "only art, bn", "only real_world, bn"]


def test_a_task_that_has_not_begun_keeps_its_folders_name(tmp_path):
    (tmp_path / "dann" / "photo-to-sketch" / "bn" / "seed0").mkdir(parents=True)
    task = tasks_of(read_domain_runs(tmp_path))[0]
    assert (task.label, task.evaluation) == ("photo-to-sketch", None)
    adapt(tmp_path, seed=1, record={"status": "running"})
    task = tasks_of(read_domain_runs(tmp_path))[0]
    assert (task.label, task.evaluation) == ("photo→sketch", None)


def is_domain_folder(folder):
    return KINDS.get(task_of(folder)) == "domains"


def test_a_domain_folder_is_told_by_its_runs(tmp_path):
    assert not is_domain_folder(tmp_path)
    write_run(tmp_path / "plain", "bn", 0)
    assert not is_domain_folder(tmp_path / "plain")
    assert not is_domain_folder(tmp_path)  # of recipes
    adapt(tmp_path / "adaptation")
    write_domain_run(tmp_path / "mixed", "bn", 0, task="mixed", sources=DOMAINS, evaluation=DOMAINS)
    write_domain_run(tmp_path / "singles", "bn", 0, task="mixed", sources=("art",), evaluation=DOMAINS)
    (tmp_path / "begun" / "erm" / "without-art" / "bn" / "seed0").mkdir(parents=True)
    assert all(is_domain_folder(tmp_path / name) for name in ("adaptation", "mixed", "singles", "begun"))


def test_a_damaged_record_does_not_decide_what_a_folder_is(tmp_path):
    for seed, content in enumerate(("{", "[]", "3", "a: [1", "\x00")):
        (write_run(tmp_path, "bn", seed) / "config.yaml").write_text(content)
    assert not is_domain_folder(tmp_path)


def test_a_folder_without_runs_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"there are no runs in .*<method>/<task>/<norm>/seed<k>/"):
        read_domain_runs(tmp_path)


def test_runs_of_several_kinds_are_an_error(tmp_path):
    adapt(tmp_path)
    write_domain_run(tmp_path, "bn", 0, task="mixed", sources=DOMAINS, evaluation=DOMAINS)
    with pytest.raises(UserError, match=r"adaptation and mixed.*Move the others"):
        read_domain_runs(tmp_path)


@pytest.mark.parametrize("domains", [3, {"train": "photo"}, {"train": [], "target": 3}])
def test_malformed_domains_are_named(tmp_path, domains):
    path = adapt(tmp_path) / "run.json"
    record = json.loads(path.read_text())
    record["data"]["domains"] = domains
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"run\.json cannot be read: data\.domains"):
        read_domain_runs(tmp_path)

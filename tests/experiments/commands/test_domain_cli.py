import json
import re

import pytest
import torch
from domain_trees import write_domains

from binorm.experiments.cli import main

DOMAINS = ("cam1", "cam2", "cam3")
SMALL = ("--dataset", "domains", "--model", "resnet8", "--weights", "", "--image-size", "16", "--crop-padding", "1")
SHORT = (*SMALL, "--epochs", "1", "--steps", "2", "--batch-size", "2", "--precision", "float32", "--norms", "bn,bin")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cameras")
    write_domains(folder, DOMAINS)
    return folder


def compare(tree, out, *arguments, seeds=1):
    return main(["compare", *arguments, *SHORT, "--seeds", str(seeds), "--data", str(tree), "--out", str(out)])


def error(capsys, *arguments):
    assert main([str(each) for each in arguments]) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert message.startswith("error: ")
    return " ".join(message.split())


@pytest.fixture(scope="module")
def adapted(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted")
    assert compare(tree, out, "pacs-dann", "--source", "cam1", seeds=2) == 0
    return out / "pacs-dann"


def test_adaptation_trains_every_task_with_its_baseline_and_reports(adapted):
    runs = {str(path.parent.relative_to(adapted)) for path in adapted.glob("*/*/*/*/model.safetensors")}
    assert runs == {
        f"{method}/cam1-to-{target}/{norm}/seed{seed}"
        for method in ("source-only", "dann")
        for target in ("cam2", "cam3")
        for norm in ("bn", "bin")
        for seed in (0, 1)
    }
    report = json.loads((adapted / "report.json").read_text())
    assert len(report["runs"]) == 16
    assert report["title"].endswith(" (domains): resnet8, adaptation between domains")
    text = (adapted / "report.md").read_text()
    assert "cam2" in text
    assert "running statistics" in text  # per-domain, as the recipe says


def test_a_second_call_trains_nothing_and_says_the_same(adapted, tree, monkeypatch, capsys):
    before = (adapted / "report.json").read_bytes()
    monkeypatch.setattr("binorm.experiments.training.compare.run", lambda *_: pytest.fail("trained again"))
    assert compare(tree, adapted.parent, "pacs-dann", "--source", "cam1", seeds=2) == 0
    assert "16 of 16 runs are done already" in capsys.readouterr().out
    assert (adapted / "report.json").read_bytes() == before


def test_evaluate_says_what_the_last_epoch_said(adapted, tree, capsys):
    run = adapted / "dann" / "cam1-to-cam2" / "bin" / "seed0"
    last = (run / "metrics.csv").read_text().splitlines()[-1].split(",")
    assert main(["evaluate", str(run), "--data", str(tree)]) == 0
    found = re.search(r"cam2 +10 +([\d.]+)", capsys.readouterr().out)
    assert float(found[1]) == pytest.approx(float(last[-1]), abs=0.01)


def test_each_domain_is_left_out_in_turn(tree, tmp_path):
    assert compare(tree, tmp_path, "pacs-leave-one-out", "--methods", "erm") == 0
    tasks = {path.name for path in (tmp_path / "pacs-leave-one-out" / "erm").iterdir()}
    assert tasks == {"without-cam1", "without-cam2", "without-cam3"}


def test_mixed_training_and_single_domains_join_in_one_report(tree, tmp_path, capsys):
    title = f"{tree.name} (domains): resnet8, one network for all domains"
    for arguments in ((), ("--source", "each")):
        assert compare(tree, tmp_path, "pacs-mixed-resnet18", *arguments, "--statistics", "joint") == 0
        assert (
            f"{title} (pacs-mixed-resnet18): " in capsys.readouterr().out
        )  # before training; the report says the same
    folder = tmp_path / "pacs-mixed-resnet18"
    assert {path.name for path in folder.iterdir() if path.is_dir()} >= {"bn", "bin", "only-cam1", "only-cam3"}
    report = json.loads((folder / "report.json").read_text())
    assert len(report["runs"]) == 4 * 2
    assert report["title"] == title


def test_statistics_of_each_domain_are_used_in_its_evaluation(tree, tmp_path, capsys):
    assert compare(tree, tmp_path, "pacs-mixed-resnet18", "--statistics", "per-domain") == 0
    run = tmp_path / "pacs-mixed-resnet18" / "bn" / "seed0"
    last = dict(zip(*(line.split(",") for line in (run / "metrics.csv").read_text().splitlines()[:2]), strict=True))
    capsys.readouterr()
    assert main(["evaluate", str(run / "model.safetensors"), "--data", str(tree)]) == 0
    shown = capsys.readouterr().out
    assert main(["evaluate", str(run), "--data", str(tree)]) == 0
    assert capsys.readouterr().out == shown
    for domain in DOMAINS:
        loss = float(re.search(rf"{domain} .* ([\d.]+) *\n", shown)[1])
        assert loss == pytest.approx(float(last[f"{domain}_loss"]), abs=1e-4)


def test_a_forgotten_dataset_is_hinted_at(tree, capsys):
    message = error(capsys, "compare", "pacs-dann", "--source", "cam1", "--data", tree)
    assert "unknown domain of pacs: 'cam1'" in message
    assert "for domains of your own add --dataset domains, or take the recipe adaptation" in message
    message = error(capsys, "compare", "pacs-dann", "--data", tree)
    assert "For domains of your own give --dataset domains" in message


@pytest.mark.parametrize("recipe", ["mixed", "adaptation", "leave-one-out"])
def test_domains_of_one_s_own_have_recipes_that_do_not_say_pacs(tree, tmp_path, capsys, recipe):
    small = [each for each in SHORT if each not in ("--dataset", "domains")]
    chosen = {"adaptation": ("--source", "cam1", "--target", "cam2"), "leave-one-out": ("--target", "cam2")}
    arguments = ["compare", recipe, *small, *chosen.get(recipe, ()), "--seeds", "1"]
    assert main([*arguments, "--data", str(tree), "--out", str(tmp_path)]) == 0
    assert f"{tree.name} (domains): resnet8" in " ".join(capsys.readouterr().out.split())
    assert "PACS" not in (tmp_path / recipe / "report.md").read_text()


def test_train_takes_one_task(tree, tmp_path, capsys):
    arguments = [each for each in SHORT if each not in ("--norms", "bn,bin")]
    call = [
        "train",
        "pacs-coral",
        "--source",
        "cam1",
        "--target",
        "cam2",
        *arguments,
        "--data",
        tree,
        "--out",
        tmp_path,
    ]
    assert main([str(each) for each in call]) == 0
    assert "pacs-coral/coral/cam1-to-cam2/bin/seed0" in "".join(capsys.readouterr().out.split())


def test_an_open_recipe_is_no_single_training(tree, capsys):
    message = error(capsys, "train", "pacs-dann", *SMALL, "--data", tree)
    assert "stands for 6 tasks" in message
    assert "--source and --target" in message


def test_domains_with_other_classes_are_named_with_the_way_out(tmp_path, capsys):
    write_domains(tmp_path / "tree", {"cam1": ("dog", "house"), "cam2": ("dog", "horse", "house")})
    call = ("compare", "pacs-dann", *SHORT, "--data", tmp_path / "tree", "--out", tmp_path / "runs")
    message = error(capsys, *call)
    assert "cam1" in message
    assert "horse" in message
    assert "--shared-classes keeps the 2" in message
    assert main([*map(str, call), "--seeds", "1", "--methods", "source-only", "--shared-classes"]) == 0


def test_a_single_domain_is_refused(tmp_path, capsys):
    write_domains(tmp_path / "tree", ("cam1",))
    message = error(capsys, "compare", "pacs-dann", *SHORT, "--data", tmp_path / "tree")
    assert "cam1" in message


def test_an_empty_domain_is_named(tmp_path, capsys):
    write_domains(tmp_path / "tree", ("cam1", "cam2"))
    (tmp_path / "tree" / "cam3" / "dog").mkdir(parents=True)
    (tmp_path / "tree" / "cam3" / "dog" / "notes.txt").write_text("no picture")
    assert "cam3" in error(capsys, "compare", "pacs-dann", *SHORT, "--data", tmp_path / "tree")


def test_options_are_taken_with_hyphens_and_flags_without_a_value():
    from jsonargparse import ArgumentParser

    from binorm.experiments.commands.command import add_fields
    from binorm.experiments.recipes.domains import DomainRecipe

    parser = ArgumentParser(exit_on_error=False)
    add_fields(parser, [DomainRecipe])
    parsed = parser.parse_args(["--batch-size", "4", "--shared-classes", "--flip", "false"])
    assert (parsed.batch_size, parsed.shared_classes, parsed.flip) == (4, True, False)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

"""One page of each kind against the Markdown and the terminal's text that are kept in ``golden/``.

After a change that is meant: ``BINORM_GOLDEN=write pytest tests/experiments/report/test_golden.py``, then look at what
git says has changed.
"""

import os
from pathlib import Path

import pytest
from fake_domains import DOMAINS, level, write_adaptation, write_domain_run
from fake_runs import write_run
from fake_styles import write_style_run, write_styles
from report_files import read_report

from binorm.experiments.report import write_report
from binorm.experiments.report.paper import write_table

GOLDEN = Path(__file__).parent / "golden"


def classification(folder):
    for norm in ("bn", "in", "bin"):
        for seed in range(3):
            write_run(folder / "digits", norm, seed, config={"full_epochs": 164})
    write_run(folder / "digits", "bin", 3, record={"status": "diverged", "reason": "loss became nan"})
    return write_report(folder / "digits")


def adaptation(folder):
    write_adaptation(folder / "office-home", 2, pairs=[("art", "clipart"), ("clipart", "art")], confused=False)
    return write_report(folder / "office-home")


def generalization(folder):
    for target in ("art", "clipart"):
        sources = tuple(name for name in DOMAINS if name != target)
        for norm in ("bn", "bin"):
            for seed in range(2):
                place = {"method": "erm", "sources": sources, "target": target, "confused": False}
                accuracies = {target: level("", target, "erm", norm, seed)}
                write_domain_run(folder / "pacs", norm, seed, task="generalization", accuracies=accuracies, **place)
    return write_report(folder / "pacs")


def mixed(folder):
    for sources in (DOMAINS, ("art",)):
        for norm in ("bn", "bin"):
            place = {"sources": sources, "evaluation": DOMAINS, "confused": False}
            write_domain_run(folder / "office-home-mixed", norm, 0, task="mixed", **place)
    return write_report(folder / "office-home-mixed")


def stylization(folder):
    write_styles(folder / "udnie", 2, config={"full_steps": 40_000})
    write_style_run(folder / "udnie", "gn", 0, record={"status": "running"})
    return write_report(folder / "udnie", write_run(folder / "digits", "bin", 0))


def paper(folder):
    for recipe in ("mine", "yours"):
        for norm in ("bn", "bin"):
            for seed in range(2):
                write_run(folder / recipe, norm, seed, config={"name": recipe, "model": recipe, "dataset": "digits"})
    return write_table([folder / "mine", folder / "yours"], folder / "table")


@pytest.mark.parametrize("kind", [classification, adaptation, generalization, mixed, stylization, paper])
def test_a_page_of_each_kind_says_what_it_said(tmp_path, kind):
    report = read_report(kind(tmp_path))
    path = GOLDEN / f"{kind.__name__}.md"
    narrow = "\n".join(line.rstrip() for line in report.narrow.splitlines())
    # The fields of recipes are for their own tests.
    markdown = report.markdown.partition("<details><summary>The full recipe")[0]
    text = f"{markdown}\n```\n{narrow}\n```\n"
    if os.environ.get("BINORM_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()

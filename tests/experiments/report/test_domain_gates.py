import json

import pytest
from fake_domains import write_domain_run
from scipy import stats

from binorm.experiments.report.figures.theme import for_print
from binorm.experiments.report.parts.domain_gates import (
    depths_and_shares,
    gate_comparisons,
    histogram_panels,
    histograms,
)
from binorm.experiments.runs.domains import read_domain_runs

LAYERS = ("stem", "stage1.0.norm", "stage2.0.norm")


def write(folder, seed, low, method="", target="", sources=("art", "photo"), norm="bin"):
    """A run with ten gates in each layer, of which ``low`` in each are 0.2 and the others 1."""
    run = write_domain_run(
        folder,
        norm,
        seed,
        task="adaptation" if method else "mixed",
        method=method,
        sources=("photo",) if method else sources,
        target=target,
        evaluation=() if method else ("art", "photo"),
        confused=False,
    )
    layers = [
        {"name": name, "gates": [0.2] * count + [1.0] * (10 - count)} for name, count in zip(LAYERS, low, strict=True)
    ]
    (run / "gates.json").write_text(json.dumps({"layers": layers, "history": []}))


def test_mixed_training_stands_beside_all_single_domains(tmp_path):
    mixed, art, photo = ((3, 6, 0), (4, 6, 2)), ((1, 2, 0), (2, 3, 1)), ((3, 3, 0), (1, 2, 0))
    for seed in (0, 1):
        write(tmp_path, seed, mixed[seed])
        write(tmp_path, seed, art[seed], sources=("art",))
        write(tmp_path, seed, photo[seed], sources=("photo",))
    (found,) = gate_comparisons(read_domain_runs(tmp_path))
    assert [(group.label, group.runs) for group in found.groups] == [
        ("all domains", 2),
        ("only art", 2),
        ("only photo", 2),
    ]
    whole = found.groups[0]
    assert whole.below["total"].mean == pytest.approx(100 * (9 + 12) / 60)
    assert whole.below["stage1"].mean == pytest.approx(60)
    assert whole.shares["stem"].mean == pytest.approx(1 - 0.8 * 0.35)
    assert whole.layers[0].means == pytest.approx((0.76, 0.68))
    assert found.reference.label == "single domains"
    assert found.reference.runs == 4
    by_seed = [100 * (9 - (3 + 6) / 2) / 30, 100 * (12 - (6 + 3) / 2) / 30]
    difference = found.differences["all domains"]
    assert difference.mean == pytest.approx(sum(by_seed) / 2)
    assert difference.p_value == pytest.approx(stats.ttest_1samp(by_seed, 0).pvalue)
    assert [group.label for group in found.compared] == ["all domains"]
    (sentence,) = found.sentences()
    assert sentence.startswith("bin trained on all domains: 35.0 ± ")
    assert "trained on single domains: 15.0 ± " in sentence
    assert sentence.endswith(": no clear difference.")  # so no stage is named either


def test_methods_stand_beside_the_baseline_in_the_tasks_that_both_have(tmp_path):
    for seed in (0, 1, 2):
        write(tmp_path, seed, (2, 2, 2), "source-only", "art")
        write(tmp_path, seed, (3 + seed, 4, 2), "dann", "art")
        write(tmp_path, seed, (9, 9, 9), "dann", "sketch")
    (found,) = gate_comparisons(read_domain_runs(tmp_path))
    assert [group.label for group in found.groups] == ["source-only", "dann"]
    assert found.reference == found.groups[0]
    assert found.differences["dann"].mean == pytest.approx(100 * (4 + 4 + 2 - 6) / 30)
    assert "bin with dann" in found.sentences()[0]
    assert "more style is removed" in found.sentences()[0]


def test_without_a_reference_there_is_no_difference(tmp_path):
    write(tmp_path, 0, (1, 2, 3))
    (found,) = gate_comparisons(read_domain_runs(tmp_path))
    assert (found.reference, dict(found.differences)) == (None, {})
    assert found.sentences() == ["bin trained on all domains: 20.0 % of the gates lie below 0.5."]


def test_norms_without_gates_are_passed_over(tmp_path):
    write_domain_run(tmp_path, "bn", 0, task="mixed", sources=("art", "photo"), evaluation=("art", "photo"))
    assert gate_comparisons(read_domain_runs(tmp_path)) == ()


def test_figures_name_their_groups_and_are_alike_every_time(tmp_path):
    write(tmp_path, 0, (3, 6, 0))
    write(tmp_path, 0, (0, 0, 0), sources=("art",))
    found = gate_comparisons(read_domain_runs(tmp_path))
    pictures = depths_and_shares(found, "a note")
    assert [picture.file for picture in pictures] == ["gates-by-depth-bin.svg", "gates-below-half-bin.svg"]
    for picture in pictures:
        assert b"only art" in picture.content
        assert b"a note" in picture.content
    assert b"all domains 0.76" in pictures[0].content
    assert depths_and_shares(found, "a note") == pictures
    drawn = histograms(found, None)
    assert [picture.file for picture in drawn] == [
        f"gates-bin-all-domains-{stage}.svg" for stage in ("total", "stem", "stage1", "stage2")
    ]
    assert b"single domains" in drawn[0].content
    (panel,) = histogram_panels(found, for_print("svg"))
    assert panel.caption.endswith("outlines: single domains")


def test_networks_of_another_make_do_not_share_an_axis(tmp_path):
    write(tmp_path, 0, (3, 6, 0))
    run = write_domain_run(tmp_path, "bin", 0, task="mixed", sources=("art",), evaluation=("art", "photo"))
    assert (run / "gates.json").exists()
    pictures = depths_and_shares(gate_comparisons(read_domain_runs(tmp_path)), None)
    assert all(b"only art" not in picture.content for picture in pictures)

"""Gates that hardly moved: said, with what to do, and neither trend nor chart is made of them."""

import json

import pytest
from fake_domains import write_domain_run
from fake_runs import LAYERS, write_run
from fake_styles import write_style_run
from report_files import report_of

NEARLY = "the gates hardly moved: all are above 0.97, so this network is nearly batch norm. Train longer, or raise"


def write_gates(run, value, start=1.0):
    """All gates of a run at ``value``, which began at ``start``."""

    def point(epoch, mean):
        histogram = [0] * 10
        histogram[min(int(10 * mean), 9)] = 1
        layers = [{"name": name, "mean": mean, "histogram": [n * k for n in histogram]} for name, k in LAYERS.items()]
        return {"epoch": epoch, "layers": layers}

    layers = [{"name": name, "gates": [value] * count} for name, count in LAYERS.items()]
    content = {"layers": layers, "history": [point(0, start), point(1, value)]}
    (run / "gates.json").write_text(json.dumps(content))


def test_gates_near_their_start_are_said_to_be_so_and_not_drawn(tmp_path):
    run = write_run(tmp_path, "bin", 0, config={"gate_lr_scale": 10.0})
    layers = {name: 0.99 if name.startswith("stage1") else 1.0 for name in LAYERS}
    write_gates(run, 1.0)
    content = json.loads((run / "gates.json").read_text())
    for layer in content["layers"]:
        layer["gates"] = [layers[layer["name"]]] * len(layer["gates"])
    (run / "gates.json").write_text(json.dumps(content))
    report = report_of(tmp_path)
    for text in (*report.everywhere, report.json):
        assert f"{NEARLY} --gate_lr_scale (10 now)." in " ".join(text.replace("\\_", "_").split())
    assert "more instance norm" not in report.html
    assert not list((report.folder / "figures").glob("gate*"))
    assert "Gates by layer" not in report.html


@pytest.mark.parametrize(("value", "start", "moved"), [(0.5, 0.505, False), (0.5, 0.9, True), (0.9, 1.0, True)])
def test_gates_are_held_against_where_they_began(tmp_path, value, start, moved):
    write_gates(write_run(tmp_path, "bin", 0), value, start)
    report = report_of(tmp_path)
    assert ("no layer's mean is more than 0.01 from where it began" in report.terminal) is not moved
    assert bool(list((report.folder / "figures").glob("gate*"))) is moved


def test_domain_and_style_reports_say_it_too(tmp_path):
    for norm in ("bn", "bin"):
        run = write_domain_run(tmp_path / "m", norm, 0, task="mixed", sources=("art", "b"), evaluation=("art",))
        styled = write_style_run(tmp_path / "s", norm, 0)
    write_gates(run, 0.99)
    write_gates(styled, 0.99)
    for name in "ms":
        report = report_of(tmp_path / name)
        assert NEARLY in report.markdown.replace("\\_", "_")
        assert not list((report.folder / "figures").glob("gate*"))


def test_a_single_epoch_is_no_curve(tmp_path):
    for norm in ("bn", "bin"):
        write_run(tmp_path, norm, 0, epochs=1)
    report = report_of(tmp_path)
    assert "Learning curves" not in report.html
    assert not list((report.folder / "figures").glob("learning*"))

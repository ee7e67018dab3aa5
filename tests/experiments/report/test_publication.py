import pytest
from fake_runs import write_run

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.publication import write_figures, write_gate_figures

GATE_FIGURES = {"gates-bin", "gates-by-layer-bin", "gates-over-training-bin", "gate-shares-over-training-bin"}


@pytest.mark.parametrize("file_format", ["pdf", "svg", "png"])
def test_a_comparison_becomes_files_with_captions(tmp_path, file_format):
    folder = tmp_path / "digits"
    for norm in ("bn", "bin"):
        write_run(folder, norm, 0, epochs=5, evaluation=("test",), config={"full_epochs": 9})
    paths = write_figures(folder, tmp_path / "out", file_format)
    curves = {"learning-curves-test", "learning-curves-train"}
    assert {path.name for path in paths} == {f"{name}.{file_format}" for name in GATE_FIGURES | curves}
    captions = (tmp_path / "out" / "captions.txt").read_text()
    assert all(path.name in captions and path.stat().st_size > 1000 for path in paths)
    assert captions.count("short schedule: 5 of 9 epochs") == len(paths)
    assert "the paper's ResNet-110" in captions


def test_one_run_becomes_figures_of_its_gates(tmp_path):
    run = write_run(tmp_path / "digits", "bin", 0)
    paths = write_gate_figures(run, tmp_path / "out", "svg")
    assert {path.stem for path in paths} == GATE_FIGURES


def test_what_has_no_gates_or_no_runs_is_an_error(tmp_path):
    bn = write_run(tmp_path / "digits", "bn", 0)
    running = write_run(tmp_path / "digits", "bin", 0, record={"status": "running"})
    for folder, message in ((bn, "no learned gates"), (running, "unfinished"), (tmp_path, "not the folder of a run")):
        with pytest.raises(UserError, match=message):
            write_gate_figures(folder, tmp_path / "out")
    with pytest.raises(UserError, match="no finished runs"):
        write_figures(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(UserError, match="'eps'"):
        write_figures(tmp_path / "digits", tmp_path / "out", "eps")

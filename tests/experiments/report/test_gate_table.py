import torch
from fake_runs import write_run
from rich.console import Console
from safetensors.torch import save_file

from binorm.experiments.report.gate_table import gate_tables


def printed(tables):
    console = Console(width=80, record=True)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


def test_stages_stand_beside_the_paper_within_80_columns(tmp_path):
    gates = {f"stage{stage}.0.norm1.gate": torch.full((4,), 0.25 * stage) for stage in (1, 2, 3)}
    save_file(gates | {"norm.gate": torch.tensor([0.0, 1.0])}, tmp_path / "mine.safetensors")
    tables = gate_tables(tmp_path / "mine.safetensors")
    assert len(tables) == 2
    text = printed(tables)
    assert "…" not in text
    rows = {" ".join(line.split()) for line in text.splitlines()}
    assert "stage1 0.25 .000 .000 1.00 .000 .000 .000 .000 .000 .000 .000" in rows
    assert "paper lower 0.60 .206 .049 .044 .043 .046 .037 .046 .054 .098 .381" in rows
    assert "stem 0.50 .500 .000 .000 .000 .000 .000 .000 .000 .000 .500" in rows


def test_networks_of_other_shape_have_no_paper_beside_them(tmp_path):
    save_file({f"layer{place}.norm.gate": torch.ones(4) for place in range(4)}, tmp_path / "mine.safetensors")
    assert "paper" not in printed(gate_tables(tmp_path / "mine.safetensors"))


def test_a_runs_folder_shows_start_middle_and_end(tmp_path):
    run = write_run(tmp_path, "bin", 0, epochs=6)
    save_file({"stage1.norm.gate": torch.ones(4)}, run / "model.safetensors")
    development = gate_tables(run)[2]
    epochs = [cell.strip() for cell in development.columns[0].cells if not hasattr(cell, "plain")]
    assert epochs == ["0", "3", "6"] * 5
    assert next(iter(development.columns[1].cells)) == ""
    assert list(development.columns[-1].cells)[1] == "1.00"

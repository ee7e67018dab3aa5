import pytest
import torch
from fake_runs import write_run
from rich.console import Console
from safetensors.torch import save_file

from binorm.experiments.report.gates import (
    by_stage,
    development,
    gate_tables,
    layer_means,
    references,
    shares,
    stages_of,
    summary,
)
from binorm.experiments.runs.reading import GateLayer, GatePoint

NAMES = ("norm", "stage1.0.norm1", "stage2.0.norm1", "stage3.0.norm1", "last")


def point(epoch, name, low, high):
    """``low`` gates at 0, ``high`` at 1."""
    return GatePoint(epoch, name, high / (low + high), (low, *[0] * 8, high))


def test_stages_are_the_first_word_and_what_stands_outside():
    stages = stages_of(NAMES)
    assert list(stages.values()) == ["stem", "stage1", "stage2", "stage3", "final"]
    wrapped = stages_of(f"network._orig_mod.{name}" for name in NAMES)
    assert list(wrapped.values()) == list(stages.values())
    assert stages_of(["features.0", "features.3"]) == {"features.0": "stem", "features.3": "stem"}
    assert stages_of(["norm"]) == {"norm": "stem"}


def test_bins_hold_their_lower_edge_and_the_last_its_upper():
    counted = shares([0.0, 0.1, 0.95, 1.0])
    assert counted.fractions == (0.25, 0.25, 0, 0, 0, 0, 0, 0, 0, 0.5)
    assert (counted.count, counted.mean, counted.ends) == (4, pytest.approx(0.5125), 0.75)


def test_runs_are_pooled_by_stage_and_averaged_by_layer():
    runs = [[GateLayer(name, (value, value)) for name in NAMES] for value in (0.0, 1.0)]
    groups = by_stage([layer for run in runs for layer in run])
    assert list(groups) == ["total", "stem", "stage1", "stage2", "stage3", "final"]
    assert (groups["total"].count, groups["stage1"].count, groups["stage1"].mean) == (20, 4, 0.5)
    assert [layer.means for layer in layer_means(runs)] == [(0.0, 1.0)] * 5
    assert list(by_stage([GateLayer("norm", (0.5,))])) == ["total"]


def test_layers_count_by_their_channels():
    history = [point(epoch, "a.norm", 10 * epoch, 10) for epoch in (0, 1)]
    history += [point(epoch, "b.norm", 0, 30) for epoch in (0, 1)]
    groups = development(history)
    assert list(groups) == ["total", "a", "b"]
    assert groups["total"][1].mean == pytest.approx(40 / 50)
    assert groups["total"][1].fractions[0] == pytest.approx(10 / 50)
    assert groups["a"][0].mean == 1


def test_the_papers_stages_belong_to_networks_of_three():
    found = references(["total", "stem", "one", "two", "three", "final"])
    assert {group: each.label for group, each in found.items()} == {
        "total": "total",
        "one": "lower",
        "two": "middle",
        "three": "upper",
    }
    assert found["three"].shares.fractions[-1] == 0.840
    assert found["one"].shares.mean < found["three"].shares.mean < 0.9
    assert references(["total", "stem", "layer1", "layer2", "layer3", "layer4"]) == {}
    assert references(["total"]) == {}


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        (
            [0.0, 0.0, 0.5, 1.0, 1.0],
            "40 % of the gates lie below 0.1 and 40 % above 0.9: 80 % in the two end bins, each",
        ),
        ([0.5, 0.5, 1.0, 1.0, 1.0], "only the upper holds more"),
        ([0.0, 0.0, 0.0, 0.5, 0.5], "only the lower holds more"),
        ([0.0, 0.5, 0.5, 0.5, 1.0], "neither of which holds more"),
    ],
)
def test_the_summary_says_whether_the_ends_stand_out(gates, said):
    assert said in summary(by_stage([GateLayer("norm", tuple(gates))]))


def test_the_summary_compares_the_first_stage_with_the_last():
    def text(*means):
        return summary(by_stage([GateLayer(f"{name}.norm", (mean,)) for name, mean in zip("abc", means, strict=False)]))

    assert "0.20 in a and 0.90 in c: more instance norm in the lower stage. The paper's" in text(0.2, 0.5, 0.9)
    assert "0.90 in a and 0.20 in b: more instance norm in the upper stage." in text(0.9, 0.2)
    assert "0.50 in a and 0.50 in b." in text(0.5, 0.5)
    assert "0.96 in a and 1.00 in b, which is about the same." in text(0.96, 1.0)
    assert "paper" not in text(0.9, 0.2)


def test_the_numbered_parts_of_a_single_sequence_are_stages():
    names = ["bn1", "blocks.0.0.bn1", "blocks.0.0.bn2", "blocks.1.0.bn1", "bn2"]
    assert list(stages_of(names).values()) == ["stem", "blocks.0", "blocks.0", "blocks.1", "final"]
    many = [f"blocks.{place}.bn" for place in range(16)]
    assert set(stages_of(["bn1", *many]).values()) == {"stem", "blocks"}
    assert set(stages_of(["bn1", "layer.0.bn", "layer.last.bn"]).values()) == {"stem", "layer"}


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
    lines = printed(gate_tables(run)[2:]).splitlines()
    rows = [line.split() for line in lines if line.startswith("   ") and line.split()]
    assert [row[0] for row in rows] == ["0", "3", "6"] * 5
    assert rows[0][1:] == ["1.00", *[".000"] * 9, "1.00"]
    assert [line.strip() for line in lines].index("total") < min(lines.index(line) for line in lines if "stem" in line)

"""`binorm bench`: every comparison runs, what it says is what it measured, mistakes are named."""

import json

import pytest
import torch

from binorm.experiments.analysis.bench import CASES, SHAPES, MixedNorm, Row, bench, geometric_mean
from binorm.experiments.cli import main
from binorm.experiments.commands.bench import bench_tables, parse_shapes
from binorm.experiments.common.errors import UserError


def run(*arguments: str) -> int:
    return main(["bench", "--rounds", "1", *arguments])


def test_every_case_measures_every_dtype_shape_and_layout(tmp_path, capsys) -> None:
    out = tmp_path / "bench.json"
    assert (
        run("--cases", ",".join(CASES), "--dtypes", "float32,bfloat16", "--shapes", "2,3,4,4", "--out", str(out)) == 0
    )
    facts = json.loads(out.read_text())
    assert len(facts["rows"]) == len(CASES) * 2 * 2
    for row in facts["rows"]:
        assert row["ours_ms"] > 0
        assert row["other_ms"] > 0
        assert row["limit_ms"] > 0
        assert row["least_ratio"] <= row["ratio"] <= row["greatest_ratio"]
        assert row["shape"] == ([1, 3, 4, 4] if row["case"] == "evaluation" else [2, 3, 4, 4])
    assert facts["machine"]["cores"] >= 1
    assert "torch" in facts["versions"]
    printed = capsys.readouterr().out
    assert all(case.title[:40] in printed for case in CASES.values())
    assert "NHWC" in printed


def test_table_sums_up_what_it_shows() -> None:
    rows = [Row("norm", "float32", (2, 3, 4, 4), "contiguous", 1.0, 2.0, ratio, 0.4, 0.6, 0.5) for ratio in (0.5, 2.0)]
    assert geometric_mean(rows) == pytest.approx(1.0)
    (table,) = bench_tables(rows)
    assert "1.00, greatest 2.00" in table.caption


def test_mixed_norm_computes_the_layers_formula() -> None:
    from binorm import BatchInstanceNorm2d

    torch.manual_seed(0)
    mixed, layer = MixedNorm(3), BatchInstanceNorm2d(3, gate_init=0.5)
    x = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(mixed(x), layer(x))


def test_shapes_are_read() -> None:
    assert parse_shapes("1,2,3,4 5,6,7,8") == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert parse_shapes(" ".join(",".join(map(str, shape)) for shape in SHAPES)) == SHAPES


@pytest.mark.parametrize("text", ["3,4", "a,b,c,d", "0,1,1,1", "", "-1,2,3,4"])
def test_wrong_shapes_are_errors(text) -> None:
    with pytest.raises(UserError, match="--shapes"):
        parse_shapes(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", "nrom"], "did you mean 'norm'"),
        (["--dtypes", "float31"], "did you mean 'float32'"),
        (["--device", "tpu"], "--device should be cpu"),
        (["--threads", "0"], "--threads should be at least 1"),
        (["--out", "/nowhere/bench.json"], "there is no folder /nowhere"),
        (["--rounds", "0"], "--rounds should be at least 1"),
    ],
)
def test_mistakes_are_named(arguments, message, capsys) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_too_large_a_shape_is_an_error() -> None:
    with pytest.raises(UserError, match="not enough memory"):
        bench(["norm"], ["float64"], ((2**20, 2**14, 2**10, 1),), "cpu", 1, lambda _: None)

"""Clean and shifted test pictures in reports."""

import json

import pytest
from fake_domains import write_domain_run
from fake_runs import write_run
from report_files import report_of

from binorm.experiments.common.errors import UserError

STYLE = ("dark", "warm")


def shifted(clean, dark, warm, fog=None):
    shifts = {"dark": dark, "warm": warm} | ({} if fog is None else {"fog": fog})
    return {"pictures": 360, "side": 32, "clean": clean, "shifts": shifts}


def write(folder, values, sets=("test",), **options):
    for norm, by_seed in values.items():
        for seed, found in enumerate(by_seed):
            record = {"shifted": dict.fromkeys(sets, found)}
            write_run(folder, norm, seed, evaluation=sets, record=record, **options)


def test_norms_stand_beside_each_other_with_the_mean_over_shifts_paired_by_seed(tmp_path):
    values = {
        "bn": [shifted(90, 50, 60, 40), shifted(91, 52, 60, 41)],
        "bin": [shifted(92, 60, 70, 44), shifted(92, 61, 71, 45)],
    }
    write(tmp_path, values)
    report = report_of(tmp_path)
    bn, bin_ = report.entries["shifted"]
    assert bn["by_seed"]["shifted_accuracy"] == {"0": 50.0, "1": 51.0}
    assert bin_["by_seed"]["shifted_accuracy style"] == {"0": 65.0, "1": 66.0}
    assert bin_["by_seed"]["shifted_accuracy fog"] == {"0": 44.0, "1": 45.0}
    assert bin_["difference"]["shifted_accuracy"]["mean"] == pytest.approx(8.0)
    assert bin_["difference"]["clean_accuracy"]["mean"] == pytest.approx(1.5)
    assert bn["difference"]["clean_accuracy"] is None
    assert "| bin<br><sub>2 seeds</sub> | 92.00 ± 0.00 | **58.50 ± 0.71** | 44.50 ± 0.71 | 65.50 ± 0.71 | +8.00" in (
        report.markdown
    )
    assert "style shifts, warm | 60.0 ± 0.0 | 70.5 ± 0.7 |" in report.markdown
    assert "2 shifts" in report.terminal
    assert "58.50" in report.terminal


def test_only_shifts_that_every_norm_was_measured_on_count(tmp_path):
    values = {
        "bn": [shifted(90, 50, 60, 40), shifted(91, 52, 60, 41)],
        "bin": [shifted(92, 60, 70), shifted(92, 61, 71)],  # without fog
    }
    write(tmp_path, values)
    bn, bin_ = report_of(tmp_path).entries["shifted"]
    assert bn["by_seed"]["shifted_accuracy"] == {"0": 55.0, "1": 56.0}
    assert "shifted_accuracy fog" not in bn["by_seed"]
    assert bin_["difference"]["shifted_accuracy"]["mean"] == pytest.approx(10.0)


def test_a_seed_that_was_measured_in_part_is_left_out(tmp_path):
    cut = shifted(99, 99, 99)
    del cut["shifts"]["warm"]
    write(tmp_path, {"bn": [shifted(90, 50, 60), cut], "bin": [shifted(92, 60, 70), shifted(92, 61, 71)]})
    bn, bin_ = report_of(tmp_path).entries["shifted"]
    assert list(bn["by_seed"]["shifted_accuracy"]) == ["0"]
    assert list(bin_["by_seed"]["shifted_accuracy"]) == ["0", "1"]


def test_where_norms_share_no_group_the_one_that_most_have_is_shown(tmp_path):
    fog = {"pictures": 360, "side": 32, "clean": 91, "shifts": {"fog": 40}}
    write(tmp_path, {"bn": [shifted(90, 50, 60)], "in": [fog], "bin": [shifted(92, 60, 70)]})
    assert [row["norm"] for row in report_of(tmp_path).entries["shifted"]] == ["bn", "bin"]


def test_one_group_of_shifts_has_no_columns_of_groups(tmp_path):
    write(tmp_path, {"bn": [shifted(90, 50, 60)], "bin": [shifted(90, 50, 60)]})
    heading = next(line for line in report_of(tmp_path).markdown.splitlines() if "| clean |" in line)
    assert "style shifts" not in heading
    assert "shifted<br><sub>2 shifts</sub>" in heading


def test_runs_that_nobody_measured_leave_the_section_out(tmp_path):
    write_run(tmp_path, "bn", 0)
    report = report_of(tmp_path)
    assert report.entries["shifted"] == []
    assert "Clean and shifted" not in report.html


def test_a_seed_that_was_measured_alone_is_shown_and_counted(tmp_path):
    write(tmp_path, {"bn": [shifted(90, 50, 60)]})
    write_run(tmp_path, "bn", 1, evaluation=("test",))
    assert "| bn<br><sub>1 seed</sub> | 90.00 | **55.00** |" in report_of(tmp_path).markdown


def test_the_mean_of_domains_is_formed_for_each_seed(tmp_path):
    for seed in range(2):
        for source, target, clean in (("art", "clipart", 80.0), ("clipart", "art", 60.0)):
            record = {"shifted": {target: shifted(clean, 20 + seed, 40)}}
            place = {"task": "adaptation", "method": "dann", "sources": (source,), "target": target}
            write_domain_run(tmp_path, "bn", seed, **place, evaluation=(target,), record=record)
    (row,) = report_of(tmp_path).entries["shifted"]
    assert (row["method"], row["norm"]) == ("dann", "bn")
    assert row["by_seed"]["clean_accuracy"] == {"0": 70.0, "1": 70.0}
    assert row["by_seed"]["shifted_accuracy"] == {"0": 30.0, "1": 30.5}


@pytest.mark.parametrize(
    "entry", [3, {"test": {"pictures": 3}}, {"test": {"pictures": 3, "clean": "much", "shifts": {}}}, {"test": None}]
)
def test_a_damaged_entry_is_named(tmp_path, entry):
    run = write_run(tmp_path, "bn", 0) / "run.json"
    run.write_text(json.dumps(json.loads(run.read_text()) | {"shifted": entry}))
    with pytest.raises(UserError, match="run.json cannot be read: shifted is of another make"):
        report_of(tmp_path)


def test_a_shift_of_a_later_binorm_is_left_out(tmp_path):
    found = shifted(90, 50, 60)
    found["shifts"]["moonlight"] = 1.0
    write(tmp_path, {"bn": [found]})
    (row,) = report_of(tmp_path).entries["shifted"]
    assert row["by_seed"]["shifted_accuracy"] == {"0": 55.0}

import csv
import re
from pathlib import Path

import pytest
from fake_runs import write_run
from report_files import printed, read_report
from scipy import stats

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.paper import blocks, write_table
from binorm.experiments.report.parts.paper_columns import read_columns

BN = {"icdar2003-resnet8": (64.0, 65.0, 66.0), "chars74k-resnet8": (70.0, 71.0, 72.0)}
BIN = {"icdar2003-resnet8": (67.0, 69.0, 69.5), "chars74k-resnet8": (71.0, 70.5, 75.0)}
TITLES = {
    "icdar2003-resnet8": "ICDAR 2003 characters, ResNet-8",
    "icdar2003-resnet14": "ICDAR 2003 characters, ResNet-14",
    "icdar2003-resnet20": "ICDAR 2003 characters, ResNet-20",
    "icdar2003-resnet32": "ICDAR 2003 characters, ResNet-32",
    "icdar2005-lower-resnet8": "ICDAR 2005 small letters, ResNet-8",
    "chars74k-resnet8": "Chars74K characters, ResNet-8",
}


def write(
    folder: Path, recipe: str, norm: str, accuracies=(), first_seed=0, config=None, record=None, evaluation=("test",)
):
    data, _, model = recipe.rpartition("-")
    fields = {"name": recipe, "title": TITLES.get(recipe, recipe), "dataset": data, "model": model}
    fields |= {"lr": 0.1, "schedule": "cosine", "milestones": [], "epochs": 4, "full_epochs": 60}
    for seed, accuracy in enumerate(accuracies, first_seed):
        run = write_run(
            folder / recipe, norm, seed, evaluation=evaluation, config=fields | (config or {}), record=record
        )
        path = run / "metrics.csv"
        rows = list(csv.DictReader(path.read_text().splitlines()))
        rows[-1][f"{evaluation[0]}_accuracy"] = str(accuracy)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return folder / recipe


@pytest.fixture
def folders(tmp_path):
    for norm, accuracies in (("bin", BIN), ("bn", BN)):
        for recipe, values in accuracies.items():
            write(tmp_path, recipe, norm, values)
    return [tmp_path / recipe for recipe in BN]


def table_of(folders, out):
    return read_report(write_table(folders, out))


def test_cells_show_our_mean_over_the_published_one(folders, tmp_path):
    table = table_of(folders, tmp_path / "out")
    assert table.entries["norms"] == ["bn", "bin"]
    assert [(column["data"], column["network"]) for column in table.entries["columns"]] == [
        ("ICDAR 2003 characters", "ResNet-8"),
        ("Chars74K characters", "ResNet-8"),
    ]
    page = table.html
    assert "<span>65.00 ± 1.00</span><small>3 runs</small><small>paper 64.98 ± 0.63</small>" in page
    assert '<span class="strong">68.50 ± 1.32</span>' in page
    text = table.markdown
    assert "| bn | 65.00 ± 1.00<br><sub>3 runs</sub><br><sub>paper 64.98 ± 0.63</sub> |" in text
    assert "**68.50 ± 1.32**" in text
    for shown in (page, text, table.terminal):
        assert "4 of 60 epochs" in shown


def test_differences_are_paired_and_corrected_for_the_number_of_columns(folders, tmp_path):
    table = table_of(folders, tmp_path / "out")
    raw = [stats.ttest_rel(BIN[recipe], BN[recipe]).pvalue for recipe in BN]
    differences = [column["difference"] for column in table.entries["columns"]]
    assert [each["pairs"] for each in differences] == [3, 3]
    assert [each["test"]["p_value"] for each in differences] == pytest.approx(raw)
    assert [each["p_holm"] for each in differences] == pytest.approx([2 * min(raw), max(raw)])
    assert differences[0]["published"] == pytest.approx(68.55 - 64.98)
    for shown in (table.html, table.markdown, table.terminal):
        assert f"Holm = {max(raw):.3f}" in shown


def test_a_single_column_has_nothing_to_correct_and_no_overall_comparison(folders, tmp_path):
    table = table_of(folders[:1], tmp_path / "out")
    assert table.entries["columns"][0]["difference"]["p_holm"] is None
    assert table.entries["overall"] is None
    assert "Holm = " not in table.html


def test_the_overall_comparison_is_over_the_columns_means(folders, tmp_path):
    table = table_of(folders, tmp_path / "out")
    means = [sum(BIN[recipe][seed] - BN[recipe][seed] for recipe in BN) / 2 for seed in range(3)]
    expected = stats.ttest_1samp(means, 0.0)
    overall = table.entries["overall"]
    assert overall["difference"]["mean"] == pytest.approx(sum(means) / 3)
    assert overall["difference"]["p_value"] == pytest.approx(expected.pvalue)
    assert overall["signs"] == {"above": 2, "below": 0, "p_value": 0.5}
    assert "bin is higher in 2 of 2 columns and lower in 0 (exact sign test: p = 0.500)." in table.html


def test_without_seeds_in_common_there_is_no_overall_interval(folders, tmp_path):
    for norm in ("bn", "bin"):
        folder = write(tmp_path, "icdar2003-resnet14", norm, (60.0, 61.0), first_seed=7)
    table = table_of([*folders, folder], tmp_path / "out")
    assert table.entries["overall"]["difference"] is None
    assert "there is no overall interval" in table.markdown


def test_columns_of_one_data_set_come_side_by_side(folders, tmp_path):
    folder = write(tmp_path, "icdar2003-resnet14", "bn", (60.0,))
    columns = read_columns([*folders, folder])
    assert [column.recipe for column in columns] == ["icdar2003-resnet8", "icdar2003-resnet14", "chars74k-resnet8"]
    assert [[each.network for each in block] for block in blocks(columns, 2)] == [
        ["ResNet-8", "ResNet-14"],
        ["ResNet-8"],
    ]
    assert [len(block) for block in blocks(columns[:1] * 9, 8)] == [5, 4]


def test_a_missing_cell_is_a_dash_over_what_the_paper_has(folders, tmp_path):
    folder = write(tmp_path, "icdar2003-resnet14", "bn", (60.0,))
    table = table_of([*folders, folder], tmp_path / "out")
    assert table.entries["columns"][1]["cells"]["bin"]["row"] is None
    assert not table.entries["columns"][1]["cells"]["bn"]["highest"]
    assert "<span>–</span><small>paper 70.78 ± 0.50</small>" in table.html


def test_equal_means_are_both_bold(tmp_path):
    for norm in ("bn", "bin"):
        folder = write(tmp_path, "chars74k-resnet8", norm, (70.0, 71.0))
    assert all(read_columns([folder])[0].leaders().values())


def test_columns_that_differ_say_so_in_the_caption(folders, tmp_path):
    versions = {"torch": "9.9"}
    folder = write(
        tmp_path, "icdar2003-resnet14", "bn", (60.0,), 5, {"epochs": 4, "full_epochs": 4}, {"versions": versions}
    )
    caption = table_of([*folders, folder], tmp_path / "out").entries["caption"]
    assert "4 epochs, cosine schedule" in caption["Schedule"]
    assert "(ResNet-14 on ICDAR 2003 characters)" in caption["Schedule"]
    assert caption["Seeds"].endswith("; seed 5 (ResNet-14 on ICDAR 2003 characters)")
    assert "torch 9.9 (ResNet-14 on ICDAR 2003 characters)" in caption["Versions"]
    assert caption["Machine"].startswith("cpu Example CPU")
    assert "(" not in caption["Machine"]
    assert "recipe are not published (all columns)" in caption["Published values"]


def test_the_best_epoch_is_a_second_table_and_labelled(folders, tmp_path):
    table = table_of(folders, tmp_path / "out")
    best_of_bn = table.entries["columns"][0]["cells"]["bn"]["row"]["best"]
    spread_text = f"{best_of_bn['mean']:.2f} ± {best_of_bn['std']:.2f}"
    for text in (table.html, table.markdown):
        main, best = text.split("Best epoch (chosen on the test set)")
        assert "65.00 ± 1.00" in main
        assert spread_text in best
        assert "it flatters" in best


def test_a_validation_set_is_not_shown_as_the_result(tmp_path):
    folder = write(tmp_path, "chars74k-resnet8", "bn", (70.0, 71.0), evaluation=("validation", "test"))
    assert read_columns([folder])[0].evaluation == "test"
    folder = write(tmp_path, "icdar2003-resnet8", "bn", (70.0, 71.0), evaluation=("validation",))
    column = read_columns([folder])[0]
    assert (column.evaluation, column.groups) == (None, {})
    assert any("validation pictures alone" in note for note in column.notes)


def test_another_network_under_the_recipes_name_has_no_published_value(tmp_path):
    folder = write(tmp_path, "chars74k-resnet8", "bn", (70.0, 71.0), config={"model": "resnet20"})
    column = read_columns([folder])[0]
    assert (column.data, column.network) == ("chars74k", "resnet20")
    assert column.reported["bn"] is None
    assert "Trained with model resnet20, not resnet8 as in the recipe." in column.notes


def test_another_learning_rate_is_noted_beside_the_published_value(tmp_path):
    folder = write(tmp_path, "chars74k-resnet8", "bn", (70.0, 71.0), config={"lr": 0.05})
    column = read_columns([folder])[0]
    assert column.reported["bn"] is not None
    assert "Trained with lr 0.05, not 0.1 as in the recipe." in column.notes


def test_a_recipe_of_ones_own_is_a_column_too(tmp_path):
    folder = write(tmp_path, "mine-net", "bn", (70.0, 71.0))
    column = read_columns([folder])[0]
    assert (column.data, column.network, column.reported["bn"]) == ("mine", "net", None)


def test_a_column_that_has_not_finished_waits_beside_the_others(folders, tmp_path):
    folder = write(tmp_path, "icdar2003-resnet14", "bin", (60.0,), record={"status": "running"})
    table = table_of([*folders, folder], tmp_path / "out")
    assert table.entries["columns"][1]["cells"]["bin"]["row"] is None
    assert "No run has finished yet. (ResNet-14 on ICDAR 2003 characters)" in table.entries["notes"]


def test_a_norm_of_which_nothing_finished_keeps_its_row(folders, tmp_path):
    write(tmp_path, "chars74k-resnet8", "in", (60.0,), record={"status": "diverged", "reason": "loss became nan"})
    table = table_of(folders, tmp_path / "out")
    assert table.entries["norms"] == ["bn", "in", "bin"]
    assert table.entries["columns"][0]["cells"]["in"]["row"] is None
    assert any(note.startswith("in: 0 of 1 runs finished (1 diverged)") for note in table.entries["notes"])


def test_the_json_holds_every_number_and_no_path(folders, tmp_path):
    table = table_of(folders, tmp_path / "out")
    text, entries = table.json, table.entries
    assert str(tmp_path) not in text
    assert entries["columns"][0]["last"]["bn"] == {"0": 64.0, "1": 65.0, "2": 66.0}
    assert entries["columns"][0]["cells"]["bn"]["published"]["mean"] == 64.98
    assert entries["overall"]["signs"]["above"] == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["table.html", "table.json", "table.md"]


def test_the_terminal_gets_no_line_beyond_its_width(folders, tmp_path):
    for recipe in ("icdar2003-resnet14", "icdar2003-resnet20", "icdar2003-resnet32", "icdar2005-lower-resnet8"):
        folders.append(write(tmp_path, recipe, "bn", (60.0, 61.0)))
    shown = printed(write_table(folders, tmp_path / "out"), 100)
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown
    assert shown.count("top-1 %, last epoch") == 2


def test_text_from_run_files_is_never_markup(tmp_path):
    hostile = "<script>alert(1)</script>|`*x*`[bold]"
    folder = write(tmp_path, "mine-net", "bn", (70.0,), config={"model": hostile}, record={"command": hostile})
    table = table_of([folder], tmp_path / "out")
    for text in (table.html, table.markdown):
        assert "<script" not in text
    assert "[bold]" in table.terminal


def test_no_folders_are_an_error(tmp_path):
    with pytest.raises(UserError, match="no folders"):
        write_table([], tmp_path)


def test_a_folder_without_runs_is_named(folders, tmp_path):
    with pytest.raises(UserError, match=f"there are no runs in {re.escape(str(tmp_path))}: expected"):
        write_table([*folders, tmp_path], tmp_path / "out")


def test_a_damaged_run_is_named(folders, tmp_path):
    path = folders[0] / "bn" / "seed0" / "metrics.csv"
    path.write_text("epoch\n")
    with pytest.raises(UserError, match=re.escape(str(path))):
        write_table(folders, tmp_path / "out")


def test_one_recipe_twice_is_an_error(folders, tmp_path):
    other = write(tmp_path / "elsewhere", "chars74k-resnet8", "bn", (70.0,))
    with pytest.raises(UserError, match="both hold the recipe 'chars74k-resnet8'"):
        write_table([*folders, other], tmp_path / "out")


def test_runs_none_of_which_finished_are_an_error(tmp_path):
    folder = write(tmp_path, "chars74k-resnet8", "bn", (70.0,), record={"status": "running"})
    with pytest.raises(UserError, match="has finished"):
        write_table([folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()

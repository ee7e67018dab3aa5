import math

import pytest
from fake_styles import CONTENT, STYLE, write_style_run, write_styles

from binorm.experiments.report.parts.style_claims import alike, conclusion, digits_of, paper_claims, style_row
from binorm.experiments.report.scores import Scores, norms_of, scores_of
from binorm.experiments.report.stylization import loss_table
from binorm.experiments.runs.reading import LOSSES, read_runs

ORDER = [
    "content: bin is lowest",
    "style: in is lowest",
    "style: bin is second lowest",
    "content: bn is highest",
    "style: bn is highest",
]


def rows_of(folder, losses):
    """Rows of runs with given (content, style) by norm, a pair for each seed."""
    for norm, seeds in losses.items():
        for seed, (content, style) in enumerate(seeds):
            write_style_run(folder, norm, seed, steps=200, last={"content": content, "style": style}, photographs=())
    return read_rows(folder)


def read_rows(folder):
    runs = read_runs(folder)
    scores = Scores(scores_of(runs))
    return [style_row(scores, norm) for norm in norms_of(runs)]


def lowest(rows, loss):
    """The norms whose loss is bold."""
    return [row.head.norm for row in loss_table(rows, "").rows if row.cells[LOSSES.index(loss)].strong]


def paper(**changes):
    return {norm: [(CONTENT[norm], STYLE[norm])] for norm in CONTENT} | changes


def answers(rows):
    return {claim.text: claim.answer for claim in paper_claims(rows)}


def said(rows):
    return conclusion(rows, paper_claims(rows))


def test_a_row_is_the_last_period_over_seeds(tmp_path):
    (row,) = rows_of(tmp_path, {"bn": [(0.4, 0.02), (0.6, 0.03)]})
    assert (row.norm, row.runs_text, row.steps_text) == ("bn", "2 runs", "200")
    assert row.losses["content"] == {0: 0.4, 1: 0.6}
    assert row.spread("content").mean == pytest.approx(0.5)
    assert row.spread("content").std == pytest.approx(math.sqrt(0.02))
    assert row.spread("style").mean == pytest.approx(0.025)
    assert row.seconds.mean == 622.0


def test_a_norm_without_a_finished_run_has_a_row_of_dashes(tmp_path):
    write_style_run(tmp_path, "bn", 0, record={"status": "running"})
    row, other = rows_of(tmp_path, {"bin": [(0.4, 0.02)]})
    assert (row.runs_text, row.steps_text, row.spread("style").text()) == ("0 of 1 run", "–", "–")
    assert (other.norm, lowest((row, other), "style")) == ("bin", [])


def test_the_papers_order_is_recognized(tmp_path):
    rows = rows_of(tmp_path, paper())
    assert answers(rows) == dict.fromkeys(ORDER, "yes")
    assert said(rows) == ("The paper's order holds in full. One seed: no spread is known, so this order can be chance.")
    first = paper_claims(rows)[0]
    assert first.figures == "bin 0.3680, in 0.3750, bn+in 0.3770, bn 0.4500"
    assert first.by_seed == ""
    assert (lowest(rows, "content"), lowest(rows, "style"), lowest(rows, "variation")) == (["bin"], ["in"], [])


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"bin": [(0.376, 0.0151)]}, {0}),  # content above in
        ({"bin": [(0.46, 0.0151)]}, {0, 3}),
        ({"bin": [(0.368, 0.0140)]}, {1, 2}),  # style below in
        ({"bn+in": [(0.377, 0.0150)]}, {2}),
        ({"bn": [(0.372, 0.0100)]}, {1, 2, 3, 4}),
        ({"bin": [(0.375, 0.0151)]}, {0}),  # a tie with in
    ],
)
def test_each_part_of_another_order_is_denied(tmp_path, changes, wrong):
    rows = rows_of(tmp_path, paper(**changes))
    assert answers(rows) == {text: "no" if place in wrong else "yes" for place, text in enumerate(ORDER)}
    assert said(rows).startswith(f"Of the paper's order, {5 - len(wrong)} of 5 claims hold. One seed:")


def test_seeds_in_which_a_claim_holds_are_counted(tmp_path):
    rows = rows_of(
        tmp_path,
        {
            "bn": [(0.5, 0.03), (0.5, 0.03), (0.5, 0.03)],
            "in": [(0.4, 0.01), (0.3, 0.01), (0.4, 0.01)],
            "bin": [(0.3, 0.02), (0.35, 0.02), (0.3, 0.02)],
            "bn+in": [(0.45, 0.025), (0.45, 0.025)],
        },
    )
    first = paper_claims(rows)[0]
    assert (first.answer, first.seeds, first.holding, first.by_seed) == ("yes", (0, 1), (0,), "in 1 of 2 seeds")
    assert said(rows) == (
        "The paper's order holds in full. Means over 2 to 3 seeds; in each seed 4 of these 5 hold, the others can be "
        "chance."
    )


def test_what_cannot_be_checked_is_not_claimed(tmp_path):
    rows = rows_of(tmp_path / "three", {norm: each for norm, each in paper().items() if norm != "in"})
    assert list(answers(rows).values()) == ["yes", "not known", "not known", "yes", "yes"]
    assert said(rows).startswith(
        "Of the paper's order, 3 of 3 claims that can be checked hold. There is no finished run of in."
    )
    rows = rows_of(tmp_path / "two", {norm: paper()[norm] for norm in ("in", "bin")})
    assert list(answers(rows).values()) == ["yes", "yes", "not known", "not known", "not known"]
    rows = rows_of(tmp_path / "one", {"bin": paper()["bin"]})
    assert set(answers(rows).values()) == {"not known"}
    assert said(rows).startswith("Nothing of the paper's order can be checked. There is no finished run of bn, in and")


def test_other_norms_have_a_row_and_no_part_in_the_papers_order(tmp_path):
    rows = rows_of(tmp_path, paper(gn=[(0.1, 0.001)]))
    assert rows[-1].norm == "gn"
    assert answers(rows) == dict.fromkeys(ORDER, "yes")


@pytest.mark.parametrize(
    ("values", "digits"), [((0.4512, 0.0123), 5), ((123.4, 45.6), 2), ((4567.0, 4321.0), 0), ((0.0, 0.25), 4)]
)
def test_the_smallest_loss_shows_four_figures(tmp_path, values, digits):
    rows = rows_of(tmp_path, {norm: [(value, 0.01)] for norm, value in zip(("bn", "in"), values, strict=True)})
    assert digits_of(rows, "content") == digits


def test_runs_of_several_lengths_are_not_compared(tmp_path):
    write_styles(tmp_path, 1, steps=2000)
    assert "yes" in answers(read_rows(tmp_path)).values()
    write_style_run(tmp_path, "bn", 1, steps=1000)
    rows = read_rows(tmp_path)
    assert rows[0].steps_text == "1,000 | 2,000"
    assert set(answers(rows).values()) == {"not known"}
    assert lowest(rows, "style") == []
    assert not alike(rows)
    assert said(rows).startswith("Nothing of the paper's order can be checked: runs are of different lengths.")

import itertools
import math
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.figures import lines as figures
from binorm.experiments.report.figures.gates import (
    LEVELS,
    Histogram,
    Strip,
    _boxes,
    _level,
    gate_development,
    gate_histogram,
    gate_histograms,
    layer_means,
)
from binorm.experiments.report.figures.lines import Line, gate_curves, learning_curves
from binorm.experiments.report.figures.theme import COLUMN_WIDTH, INK, SCREEN, for_print, norm_colours, stage_colours

HOSTILE = "--><script>alert(1)</script> $x_1$ & 数字"


def line(label="bn", colour="#0072b2", epochs=20, runs=3):
    return Line(label, colour, {epoch: [50 + epoch + run for run in range(runs)] for epoch in range(1, epochs + 1)})


def drawings(output=SCREEN):
    """One of each figure that takes an output."""
    layers = [("stem", (0.5, 0.6)), (HOSTILE, (0.1, 0.2))]
    strip = Strip(HOSTILE, {0: [0.0] * 9 + [1.0], 1: [0.1] * 10})
    return [
        learning_curves(HOSTILE, [line(HOSTILE)], None, output),
        gate_curves(HOSTILE, [line(HOSTILE)], None, output),
        layer_means(HOSTILE, layers, stage_colours(["stem", HOSTILE]), None, output),
        gate_development(HOSTILE, [strip], "#d55e00", None, output),
    ]


def texts(svg):
    drawing = ElementTree.fromstring(svg)  # noqa: S314 - drawn a moment ago
    return [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    "svg",
    [
        lambda: learning_curves(HOSTILE, [line("bn"), line(HOSTILE, "#d55e00")], HOSTILE),
        lambda: gate_curves(HOSTILE, [line(HOSTILE)], HOSTILE),
        lambda: gate_histogram(Histogram("x", [0.1] * 10, [0.1] * 10, HOSTILE), HOSTILE, "#d55e00", HOSTILE),
        lambda: gate_development(HOSTILE, [Strip(HOSTILE, {0: [0.1] * 10})], "#d55e00", HOSTILE),
        lambda: layer_means(HOSTILE, [(HOSTILE, (0.5,))], {HOSTILE: "#d55e00"}, HOSTILE),
    ],
)
def test_names_are_text_and_nothing_else(svg):
    drawn = svg().decode()
    assert drawn.startswith("<svg")
    assert "<script" not in drawn
    assert HOSTILE in texts(drawn)


def test_figures_are_small_and_alike_every_time():
    draw = [learning_curves("test", [line(), line("bin", "#d55e00")]) for _ in range(2)]
    assert draw[0] == draw[1]
    assert len(draw[0]) < 15_000
    assert len(gate_histogram(Histogram("", [0.1] * 10, [0.1] * 10, "paper"), "total", "#d55e00")) < 13_000
    long = Strip("total", {epoch: [0.0, 0.25, 0.25] + [0.0] * 6 + [0.5] for epoch in range(165)})
    assert len(gate_development("", [long], "#d55e00")) < 10_000


def test_every_colour_has_a_twin_for_dark_pages():
    svg = learning_curves("test", [line(colour="#0072b2")]).decode()
    style = svg[svg.index("@media (prefers-color-scheme: dark)") : svg.index("</style>")]
    assert '[style*="stroke: #0072b2"]{stroke: #56b4e9 !important}' in style
    assert INK in style
    assert "#d55e00" not in style


def test_lines_end_in_their_name_and_last_mean():
    assert "bin 71.0" in texts(learning_curves("test", [line("bin")]))
    assert "stage1 0.75" in texts(gate_curves("gates", [Line("stage1", "#6b6b6b", {0: [1.0, 1.0], 1: [0.5, 1.0]})]))


def test_names_that_would_collide_move_apart():
    places = figures._apart([10.0, 10.1, 10.2, 99.9, 100.0], gap=5, top=100)
    assert all(high - low >= 5 - 1e-9 for low, high in itertools.pairwise(places))
    assert places[-1] <= 100


@pytest.mark.parametrize(
    "values", [{1: [50.0]}, {1: [math.nan], 2: [math.nan]}, {1: [40.0, math.nan], 2: [50.0, 51.0]}]
)
def test_short_and_broken_curves_are_drawn(values):
    assert "test" in texts(learning_curves("test", [Line("bn", "#0072b2", values)]))


def test_runs_of_different_length_share_a_figure():
    svg = learning_curves("test", [Line("bn", "#0072b2", {1: [40.0, 41.0], 2: [50.0, 51.0], 3: [60.0]})])
    assert "bn 60.0" in texts(svg)


def test_the_axis_leaves_out_the_steep_start_of_long_curves():
    low, high = figures._focus([Line("bn", "#0072b2", {epoch: [min(epoch * 10.0, 90.0)] for epoch in range(1, 101)})])
    assert (low, high) == (89.5, 90.5)
    assert figures._focus([Line("bn", "#0072b2", {1: [10.0], 2: [50.0]})])[0] < 10


def test_histograms_name_each_share():
    histogram = Histogram("total", [0.103, 0, 0, 0, 0, 0, 0, 0, 0.178, 0.719])
    assert texts(gate_histogram(histogram, "total", "#d55e00")).count(".000") == 7


def test_strips_have_the_depth_of_each_share_and_leave_empty_bins_blank():
    assert _level(0.0) is None
    assert [_level(bound) for bound, _ in LEVELS] == list(range(len(LEVELS)))
    assert _level(1.0000001) == len(LEVELS) - 1
    strip = Strip("total", {0: [0.0, 1.0], 1: [0.0, 1.0], 2: [0.3, 0.7], 4: [0.3, 0.7]})
    top = len(LEVELS) - 1
    found = [(level, *box.get_extents().intervalx) for level, box in _boxes(strip)]
    assert [each[1:] for each in found if each[0] == top] == [(-0.5, 2.5), (3.5, 4.5)]
    assert [each[1:] for each in found if each[0] == top - 1] == [(1.5, 2.5), (3.5, 4.5)]


def test_print_carries_its_letters_and_has_no_title():
    for svg in drawings(for_print("svg")):
        assert texts(svg) == []  # outlines
        width = ElementTree.fromstring(svg).attrib["width"]  # noqa: S314 - drawn a moment ago
        assert float(width.removesuffix("pt")) == pytest.approx(72 * COLUMN_WIDTH)
        assert b"prefers-color-scheme" not in svg
    for pdf in drawings(for_print("pdf")):
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"CreationDate" not in pdf
    assert all(png.startswith(b"\x89PNG") for png in drawings(for_print("png")))


@pytest.mark.parametrize("file_format", ["svg", "pdf", "png"])
def test_print_is_alike_every_time(file_format):
    output = for_print(file_format)
    assert drawings(output) == drawings(output)
    panels = [Histogram(name, [0.1] * 10, [0.1] * 10, "paper") for name in ("total", "a", "b")]
    assert gate_histograms(panels, "#d55e00", output) == gate_histograms(panels, "#d55e00", output)


def test_an_unknown_format_is_named_with_the_known():
    with pytest.raises(UserError, match="pdf, svg, png.*'eps'"):
        for_print("eps")


def test_norms_keep_their_colour():
    assert norm_colours(["bin", "bn"]) == {"bn": "#0072b2", "bin": "#d55e00"}
    some, more = norm_colours(["bn", "zeta"]), norm_colours(["zeta", "in", "bin", "bn"])
    assert some["zeta"] == more["zeta"]
    assert len(set(norm_colours(["bn", "in", "bn+in", "bin", "alpha", "zeta"]).values())) == 6
    assert len(set(stage_colours(["stem", "layer1", "layer2", "layer3", "layer4"]).values())) == 5


def test_pyplot_and_its_global_state_stay_out():
    code = "import sys; from binorm.experiments.report.figures import gates as g; h = g.Histogram('t', [1.0])"
    code += "; g.gate_histogram(h, 't', '#d55e00')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'matplotlib.pyplot' not in sys.modules"], check=True)

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from binorm.experiments.data.readers import digit_themes
from binorm.experiments.data.readers.digit_themes import TRAINING_THEMES, UNSEEN_THEMES, Theme, draw

ALL_THEMES = TRAINING_THEMES + UNSEEN_THEMES
each_theme = pytest.mark.parametrize("theme", ALL_THEMES, ids=lambda theme: theme.name)
# Even light, no texture and full cover: a picture of nothing but its paper's and its ink's colour.
PLAIN = Theme(
    "plain",
    paper=((0.0, 0.0, 0.6), (0.0, 0.0, 0.8)),
    ink=((-0.05, 1.0, 0.3), (0.05, 1.0, 0.5)),
    contrast=(1.0, 1.0),
    falloff=(0.0, 0.0),
    texture_strength=(0.0, 0.0),
)
BLANK = torch.zeros(200, 8, 8)


@pytest.fixture(scope="module")
def strokes() -> Tensor:
    return torch.from_numpy(load_digits().images / 16)


def drawn(digits: Tensor, themes: Sequence[Theme] = ALL_THEMES, seed: int = 0) -> Tensor:
    return draw(digits, themes, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [0, 1, digit_themes.BLOCK, digit_themes.BLOCK + 1])
def test_every_digit_becomes_one_rgb_picture(strokes: Tensor, count: int) -> None:
    pictures = drawn(strokes[:count])
    assert pictures.shape == (count, 3, 32, 32)
    assert pictures.dtype == torch.uint8


def test_one_seed_draws_one_set_of_pictures(strokes: Tensor) -> None:
    assert torch.equal(drawn(strokes[:300]), drawn(strokes[:300]))
    assert not torch.equal(drawn(strokes[:300]), drawn(strokes[:300], seed=1))


def test_the_generator_moves_on(strokes: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (draw(strokes[:10], ALL_THEMES, generator) for _ in range(2))
    assert not torch.equal(first, second)


def test_threads_change_no_byte(strokes: Tensor) -> None:
    threads = torch.get_num_threads()
    try:
        pictures = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            pictures.append(drawn(strokes[:600]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])


def test_precision_settings_change_no_byte(strokes: Tensor) -> None:
    expected, precision = drawn(strokes[:300]), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(drawn(strokes[:300]), expected)
    finally:
        torch.set_float32_matmul_precision(precision)


def test_global_random_numbers_and_the_digits_are_left_alone(strokes: Tensor) -> None:
    digits = strokes[:20].clone()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    drawn(digits)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert torch.equal(digits, strokes[:20])


def test_paper_has_a_colour_of_its_range() -> None:
    pictures = drawn(BLANK, [PLAIN]).double() / 255
    assert torch.equal(pictures, pictures[:, :1, :1, :1].expand_as(pictures))
    grey = pictures[:, 0, 0, 0]
    assert 0.6 - 1 / 255 <= grey.min() < 0.62
    assert 0.78 < grey.max() <= 0.8 + 1 / 255


def test_ink_has_a_colour_of_its_range_even_around_red() -> None:
    red, green, blue = (drawn(BLANK + 1, [PLAIN]).double() / 255)[:, :, 16, 16].unbind(1)
    assert 0.3 - 1 / 255 <= red.min() < 0.32
    assert 0.48 < red.max() <= 0.5 + 1 / 255
    assert (green > 0.05).any()  # towards orange
    assert (blue > 0.05).any()  # towards magenta
    assert ((green == 0) | (blue == 0)).all()


def test_half_contrast_goes_half_the_way_to_the_ink() -> None:
    theme = replace(PLAIN, paper=((0.0, 0.0, 1.0),) * 2, ink=((0.0, 0.0, 0.0),) * 2, contrast=(0.5, 0.5))
    assert set(drawn(BLANK + 1, [theme])[:, :, 16, 16].unique().tolist()) <= {127, 128}


def test_digits_stay_inside_the_picture() -> None:
    pictures = drawn(BLANK + 1, [replace(PLAIN, paper=((0.0, 0.0, 1.0),) * 2)])
    border = torch.cat([pictures[:, :, 0], pictures[:, :, -1], pictures[:, :, :, 0], pictures[:, :, :, -1]], 2)
    assert border.min() > 128, "more paper than ink, whose green and blue are below 26"


def test_blur_spreads_the_edges() -> None:
    sharp, soft = (drawn(BLANK + 1, [replace(PLAIN, blur=(sigma, sigma))]).double() for sigma in (0.3, 2.0))
    assert soft.diff(dim=3).abs().amax((1, 2, 3)).mean() < 0.6 * sharp.diff(dim=3).abs().amax((1, 2, 3)).mean()


def test_bolder_pens_leave_more_ink(strokes: Tensor) -> None:
    fine, bold = (drawn(strokes[:100], [replace(PLAIN, boldness=(b, b))]).double() for b in (0.4, 0.7))
    assert (bold.mean((1, 2, 3)) < fine.mean((1, 2, 3))).all()


def test_light_falls_off_from_the_lamp() -> None:
    pictures = drawn(BLANK, [replace(PLAIN, falloff=(0.5, 0.5))]).double()[:, 0]
    paper = drawn(BLANK, [PLAIN]).double()[:, 0]
    assert ((pictures - paper)[:, 15:17, 15:17].abs() < 0.1 * paper[:, 15:17, 15:17]).all()
    assert (pictures.amax((1, 2)) > 1.3 * pictures.amin((1, 2))).all()


@pytest.mark.parametrize("texture", digit_themes.TEXTURES)
def test_textures_stay_within_their_strength(texture: digit_themes.Texture) -> None:
    smooth = drawn(BLANK, [PLAIN]).double()
    rough = drawn(BLANK, [replace(PLAIN, texture=texture, texture_strength=(0.2, 0.2))]).double()
    share = (rough - smooth) / smooth
    assert share.abs().max() < 0.2 + 1 / smooth.min()
    assert share.amin((1, 2, 3)).max() < -0.1
    assert share.amax((1, 2, 3)).min() > 0.1


def test_themes_are_equally_likely() -> None:
    dark, light = (replace(PLAIN, paper=((0.0, 0.0, grey),) * 2) for grey in (0.2, 0.8))
    brightness = drawn(torch.zeros(1000, 8, 8), [dark, light])[:, 0, 0, 0]
    assert 450 < (brightness > 128).sum() < 550


@each_theme
def test_sampled_values_stay_in_the_ranges_of_the_theme(theme: Theme) -> None:
    values = digit_themes._sample([theme], 500, torch.Generator().manual_seed(0))
    for field in digit_themes.LIMITS:
        low, high = torch.tensor(getattr(theme, field), dtype=torch.float64).view(2, -1, 1, 1)
        assert (values[field] >= low).all()
        assert (values[field] <= high).all()
        assert ((values[field].amax(0) - values[field].amin(0)) >= 0.95 * (high - low)).all(), "the range is used"


def test_unseen_themes_are_others() -> None:
    names = [theme.name for theme in ALL_THEMES]
    assert len(set(names)) == len(names)
    assert len(TRAINING_THEMES) >= 4
    assert len(UNSEEN_THEMES) >= 4


@each_theme
def test_digits_stay_recognizable(strokes: Tensor, theme: Theme) -> None:
    strokes = strokes[::4].float()
    seen = _against_surroundings(drawn(strokes, [theme]).float().mean(1))
    enlarged = F.interpolate(F.pad(strokes, (1, 1, 1, 1))[:, None], size=(32, 32), mode="bilinear")[:, 0]
    written = _against_surroundings(enlarged)
    shifted = [written.roll((down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    correlation = torch.stack([_correlation(seen, each).abs() for each in shifted]).amax(0)
    assert correlation.quantile(0.02) > 0.55
    assert correlation.median() > 0.75


def _against_surroundings(brightness: Tensor) -> Tensor:
    """Take away the average of 13x13 pixels around each: what light leaves when it changes slowly."""
    return brightness - F.avg_pool2d(brightness[:, None], 13, stride=1, padding=6, count_include_pad=False)[:, 0]


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's, of each picture: (N, H, W), (N, H, W) -> (N,)."""
    return F.cosine_similarity(*((each - each.mean((1, 2), keepdim=True)).flatten(1) for each in (a, b)))


@pytest.mark.parametrize("shape", [(8, 8), (2, 1, 8, 8), (2, 28, 28), (2, 8, 7)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"digits should have shape \(N, 8, 8\)"):
        drawn(torch.zeros(shape))


@pytest.mark.parametrize("value", [-0.1, 16.0, float("nan")])
def test_strokes_outside_0_to_1_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"digits should be in \[0, 1\]"):
        drawn(torch.full((2, 8, 8), value))


def test_no_themes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one theme"):
        drawn(BLANK, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contrast", (0.5, 0.4)),
        ("contrast", (0.5, 1.1)),
        ("blur", (0.0, 1.0)),
        ("falloff", (-0.1, 0.0)),
        ("texture_strength", (0.0, float("nan"))),
        ("texture_period", (1.0, 3.0)),
        ("paper", ((0.0, 0.0, 0.5), (1.0, 0.0, 0.4))),
        ("ink", ((0.0, 0.0, 0.0), (1.0, 1.5, 0.0))),
    ],
)
def test_themes_refuse_impossible_ranges(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field} of theme 'plain'"):
        replace(PLAIN, **{field: value})


def test_themes_refuse_unknown_textures() -> None:
    with pytest.raises(ValueError, match=r"texture of theme 'plain' should be one of .* \(got 'fur'\)"):
        replace(PLAIN, texture="fur")

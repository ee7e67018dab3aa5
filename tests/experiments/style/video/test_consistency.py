import math

import numpy as np
import pytest
from video_files import write_video

from binorm.experiments.style.video.consistency import Flicker, Steadying
from binorm.experiments.style.video.stylize import stylize_video

SHAPE = (48, 64, 3)


def flickering(generator):
    """A stylizer whose output jumps with the noise of its input."""

    def stylize(pixels, strength):
        return np.clip(pixels.astype(float) + generator.normal(0, 10, pixels.shape), 0, 255).astype(np.uint8)

    return stylize


def _noisy(picture, generator, deviation=3):
    return np.clip(picture + generator.normal(0, deviation, picture.shape), 0, 255).astype(np.uint8)


def test_a_static_noisy_video_flickers_less(tmp_path):
    generator = np.random.default_rng(0)
    picture = np.tile(np.linspace(40, 200, SHAPE[1])[None, :, None], (SHAPE[0], 1, 3))
    write_video(tmp_path / "old.mp4", [_noisy(picture, generator) for _ in range(12)], audio="")
    levels = {}
    for consistency in (0.0, 0.5, 0.8):
        stylizer = flickering(np.random.default_rng(1))
        levels[consistency] = stylize_video(
            tmp_path / "old.mp4", tmp_path / "new.mp4", stylizer, consistency=consistency
        ).flicker
    assert levels[0.0] > 8
    assert levels[0.5] < 0.65 * levels[0.0]
    assert levels[0.8] < 0.4 * levels[0.0]


def test_without_consistency_nothing_is_touched():
    stylized = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    steadying = Steadying(0.0)
    for _ in range(2):
        assert steadying(np.zeros(SHAPE, np.uint8), stylized) is stylized


def test_still_input_blends_by_the_formula():
    steadying, still = Steadying(0.75), np.full(SHAPE, 90, np.uint8)
    assert (steadying(still, np.full(SHAPE, 100, np.uint8)) == 100).all()
    assert (steadying(still, np.full(SHAPE, 140, np.uint8)) == 110).all()  # 140 + 0.75 (100 - 140)
    assert (steadying(still, np.full(SHAPE, 30, np.uint8)) == 90).all()  # 30 + 0.75 (110 - 30)


def test_a_moving_edge_leaves_no_ghost():
    steadying = Steadying(0.9)
    for number in range(6):
        pixels = np.full(SHAPE, 60, np.uint8)
        pixels[10:40, 8 * number : 8 * number + 8] = 200
        shown = steadying(pixels, 255 - pixels).astype(int)
        assert np.abs(shown - (255 - pixels)).max() <= 2


def test_a_faint_slow_fade_does_not_lag_without_end():
    steadying, lags = Steadying(1.0), []
    for number in range(60):
        pixels = np.full(SHAPE, 60 + 2 * number, np.uint8)
        lags.append(abs(int(steadying(pixels, pixels)[20, 20, 0]) - int(pixels[20, 20, 0])))
    assert max(lags) <= 24  # the change of one frame alone would never open the mask, and the lag be 118


def test_a_cut_starts_anew_even_where_both_shots_agree():
    steadying = Steadying(0.8)
    first, second = np.full(SHAPE, 20, np.uint8), np.full(SHAPE, 220, np.uint8)
    second[:24] = 20  # half of the picture stays
    steadying(first, np.full(SHAPE, 200, np.uint8))
    assert (steadying(second, np.full(SHAPE, 100, np.uint8)) == 100).all()


def test_flicker_counts_still_pixels_alone():
    flicker = Flicker()
    pixels = np.full(SHAPE, 50, np.uint8)
    moved = pixels.copy()
    moved[:, 32:] = 200
    flicker.add(pixels, np.full(SHAPE, 10, np.uint8))
    assert math.isnan(flicker.levels)
    shown = np.full(SHAPE, 16, np.uint8)
    shown[:, 32:] = 250
    flicker.add(moved, shown)
    assert flicker.levels == pytest.approx(6)

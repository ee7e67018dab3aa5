import json

import numpy
import pytest
from fake_domains import write_features
from safetensors.numpy import save_file

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.figures.features import LEGEND, FeatureMap, MapRow, feature_figure
from binorm.experiments.report.figures.theme import SCREEN, for_print
from binorm.experiments.report.parts import domain_features
from binorm.experiments.report.parts.domain_features import FEWEST, POINTS, feature_map
from binorm.experiments.runs.domains import Features, read_features

HOSTILE = "--><script>alert(1)</script>"


def features(count=30, width=8, domains=("photo", "sketch"), seed=0):
    generator = numpy.random.default_rng(seed)
    rows = {name: generator.normal(size=(count, width)) + 3 * place for place, name in enumerate(domains)}
    labels = {name: numpy.arange(count) % 3 for name in domains}
    return Features(("a", "b", HOSTILE), rows, labels)


def test_features_are_read_as_they_were_written(tmp_path):
    write_features(tmp_path, ("photo", "sketch.2"), ("a", "b"), 10)
    found = read_features(tmp_path)
    assert found.classes == ("a", "b")
    assert {name: rows.shape for name, rows in found.features.items()} == {"photo": (10, 32), "sketch.2": (10, 32)}
    assert found.labels["photo"].tolist() == [0, 1] * 5
    assert read_features(tmp_path / "elsewhere") is None


def test_a_file_that_is_cut_short_or_something_else_is_named(tmp_path):
    write_features(tmp_path, ("photo",), ("a", "b"), 10)
    path = tmp_path / "features.safetensors"
    content = path.read_bytes()
    for damaged in (content[:-20], content[:4], b"", b"PK\x03\x04 something else"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"features\.safetensors cannot be read.*Delete"):
            read_features(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "about"),
    [
        ({"photo.features": (3, 4), "photo.labels": (3,)}, None),
        ({"photo.features": (3, 4)}, {"classes": ["a"], "domains": ["photo"]}),
        ({"photo.features": (3, 4), "photo.labels": (2,)}, {"classes": ["a"], "domains": ["photo"]}),
        ({"photo.features": (3,), "photo.labels": (3,)}, {"classes": ["a"], "domains": ["photo"]}),
        ({"photo.features": (3, 4), "photo.labels": (3,)}, {"classes": [], "domains": ["photo"]}),
        ({"photo.features": (3, 4), "photo.labels": (3,)}, {"classes": 3, "domains": ["photo"]}),
        (
            {"a.features": (3, 4), "a.labels": (3,), "b.features": (3, 5), "b.labels": (3,)},
            {"classes": ["x"], "domains": ["a", "b"]},
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, tensors, about):
    arrays = {
        name: numpy.zeros(shape, numpy.int64 if name.endswith("labels") else numpy.float16)
        for name, shape in tensors.items()
    }
    metadata = {"binorm": json.dumps(about)} if about else None
    save_file(arrays, tmp_path / "features.safetensors", metadata)
    with pytest.raises(UserError, match=r"features\.safetensors cannot be read"):
        read_features(tmp_path)


def test_a_map_keeps_domains_apart_and_is_alike_every_time():
    first, second = feature_map(features()), feature_map(features())
    assert (first.points == second.points).all()
    assert first.points.shape == (60, 2)
    assert first.points.min() >= 0
    assert first.points.max() <= 1
    centres = [first.points[first.domains == place].mean(axis=0) for place in (0, 1)]
    assert numpy.abs(centres[0] - centres[1]).max() > 0.3
    assert (first.domain_names, first.labels[:4].tolist()) == (("photo", "sketch"), [0, 1, 2, 0])


def test_few_pictures_show_their_principal_components():
    few = features(count=FEWEST // 2 - 1, width=3)
    shown = feature_map(few)
    rows = numpy.concatenate(list(few.features.values()))
    centred = rows - rows.mean(axis=0)
    expected = centred @ numpy.linalg.svd(centred)[2][0]
    assert abs(numpy.corrcoef(shown.points[:, 0], expected)[0, 1]) == pytest.approx(1)


def test_a_panel_takes_an_even_share_of_each_domain(monkeypatch):
    monkeypatch.setattr(domain_features, "_two_dimensions", lambda rows: rows[:, :2])
    shown = feature_map(features(count=1000))
    assert len(shown.points) == POINTS
    assert numpy.bincount(shown.domains).tolist() == [POINTS // 2] * 2


@pytest.mark.filterwarnings("error")
def test_odd_features_make_no_noise():
    equal = features(count=15)
    for rows in equal.features.values():
        rows[:] = 1.0
    assert feature_map(equal) is None
    assert feature_map(features(count=4)) is None
    broken = features(count=15)
    broken.features["photo"][:5] = numpy.nan
    broken.features["photo"][5, 0] = numpy.inf
    shown = feature_map(broken)
    assert numpy.bincount(shown.domains).tolist() == [9, 15]
    assert numpy.isfinite(shown.points).all()
    broken.features["photo"][:] = broken.features["sketch"][:] = numpy.nan
    assert feature_map(broken) is None
    assert feature_map(Features(("a",), {}, {})) is None
    thin = features(count=15, width=1)
    assert feature_map(thin).points.shape == (30, 2)


def rows(shown):
    return [MapRow("bn, before: source-only", shown, "photo"), MapRow(HOSTILE, shown)]


def test_names_are_text_and_files_are_small():
    shown = feature_map(features(count=12))
    svg = feature_figure(HOSTILE, rows(shown), None, SCREEN)
    assert b"<script" not in svg
    assert b"sketch" in svg
    assert len(svg) < 40_000
    assert feature_figure(HOSTILE, rows(shown), None, SCREEN) == svg


def test_very_many_classes_are_counted_instead_of_named():
    shown = feature_map(Features(tuple(map(str, range(LEGEND + 1))), *vars_of(features(count=8))))
    assert f"{LEGEND + 1} classes".encode() in feature_figure("t", rows(shown), None, SCREEN)


def vars_of(given):
    return given.features, given.labels


def test_print_draws_every_point():
    shown = feature_map(features(count=10, domains=("photo",)))
    small = feature_figure("t", [MapRow("bn", shown)], None, for_print("png"))
    none = feature_figure("t", [MapRow("bn", hidden(shown))], None, for_print("png"))
    assert small.startswith(b"\x89PNG")
    assert len(small) > len(none)


def hidden(shown):
    kept = numpy.arange(len(shown.points)) < 1
    return FeatureMap(shown.points[kept], shown.domains[kept], shown.labels[kept], shown.domain_names, shown.classes)

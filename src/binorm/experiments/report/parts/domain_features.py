"""Where networks put pictures of several domains: features of runs in two dimensions, one map a method and norm."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report.drawings import file_name
from binorm.experiments.report.figures.features import Array, FeatureMap, MapRow, feature_figure
from binorm.experiments.report.figures.theme import SCREEN, Output
from binorm.experiments.report.page import Figure
from binorm.experiments.report.parts.domain_confusions import pair_of
from binorm.experiments.report.scores import finished, norms_of
from binorm.experiments.runs.domains import (
    ADAPTATION,
    GENERALIZATION,
    Features,
    Task,
    kind_of,
    main_runs,
    methods_of,
    read_features,
)
from binorm.experiments.runs.reading import Run

POINTS = 600  # of a panel: more would hide each other
COMPONENTS = 50  # principal components that t-SNE starts from
FEWEST = 24  # points that t-SNE can say anything about
LEAST = 10  # points that are worth drawing
ALIKE = 1e-12  # features that differ by less are the same
STEPS = 500
PERPLEXITY = 30.0
DRAWN_TASKS = 3  # a map takes about a second, and a task has one for each method and norm
TRAINING_DOMAINS = "training domains"
_Maps = Mapping[tuple[str, str], tuple[int, FeatureMap]]


def feature_figures(
    runs: Sequence[Run], tasks: Sequence[Task], note: str | None, output: Output = SCREEN
) -> list[Figure]:
    """For each of the first tasks and each method beside the baseline: maps before and after, with both norms.

    Of mixed training, one figure of both norms. Runs of the lowest seed that has kept its features.

    Raises:
        UserError: for a damaged file.
    """
    if not runs:
        return []
    kind = kind_of(runs)
    drawn: list[Figure] = []
    labels = {task.folder: task for task in tasks}
    for folder in list(labels)[:DRAWN_TASKS]:
        group = [each for each in main_runs(runs) if each.task == folder]
        norms = pair_of(norms_of(group))
        maps = dict(_maps(group, norms))
        for method, before in _pairs(methods_of(group), kind):
            rows = list(_rows(maps, norms, method, before, labels[folder], kind))
            if rows:
                name = " ".join(filter(None, (method, folder)))
                title = f"{method}, {labels[folder].label}" if folder else "Features"
                content = feature_figure(title, rows, note, output)
                file = file_name("features", name, f".{output.format}", drawn)
                drawn.append(Figure(file, _caption(title, maps, kind), content))
    return drawn


def _maps(runs: Sequence[Run], norms: Sequence[str]) -> Iterator[tuple[tuple[str, str], tuple[int, FeatureMap]]]:
    """Seed and map of each method and norm, from the first run that has kept its features."""
    for method in methods_of(runs):
        for norm in norms:
            for run in finished([run for run in runs if run.method == method], norm):
                features = read_features(run.folder)
                found = feature_map(features) if features else None
                if found is not None:
                    yield (method, norm), (run.seed, found)
                    break


def _pairs(methods: Sequence[str], kind: str) -> list[tuple[str, str | None]]:
    """Each method with the baseline that it is shown beside; the baseline alone where there is no other."""
    baseline = BASELINES.get(kind)
    others = [method for method in methods if method != baseline]
    return [(method, baseline) for method in others] or [(method, None) for method in methods]


def _rows(
    maps: _Maps, norms: Sequence[str], method: str, before: str | None, task: Task, kind: str
) -> Iterator[MapRow]:
    """For each norm the baseline's map, then the method's; only maps of one kind, which share a legend."""
    words = ("before: ", "after: ") if kind == ADAPTATION and before else ("", "")
    legend = None
    for norm in norms:
        for each, word in zip((before, method), words, strict=True):
            if each is None or (each, norm) not in maps:
                continue
            drawn = _named(maps[each, norm][1])
            legend = legend or (drawn.domain_names, drawn.classes)
            if (drawn.domain_names, drawn.classes) == legend:
                yield MapRow(", ".join(filter(None, (norm, word + each))), drawn, _faint(drawn, task, kind))


def _named(drawn: FeatureMap) -> FeatureMap:
    names = (TRAINING_DOMAINS if name == VALIDATION else name for name in drawn.domain_names)
    return replace(drawn, domain_names=tuple(names))


def _faint(drawn: FeatureMap, task: Task, kind: str) -> str | None:
    """What was trained on with labels; in mixed training that is everything."""
    if kind not in (ADAPTATION, GENERALIZATION):
        return None
    return next((name for name in drawn.domain_names if name != task.target), None)


def _caption(title: str, maps: _Maps, kind: str) -> str:
    seeds = sorted({seed for seed, _ in maps.values()})
    text = f"{title}: each dot a picture, those with similar features side by side; seed {', '.join(map(str, seeds))}"
    faint = {ADAPTATION: "the source is paler", GENERALIZATION: f"the {TRAINING_DOMAINS} are paler"}.get(kind)
    return f"{text}; on the right {faint}" if faint else text


def feature_map(features: Features) -> FeatureMap | None:
    """Lay out up to `POINTS` pictures, as many of each domain, so that those with similar features are neighbours.

    t-SNE (van der Maaten & Hinton 2008) of the first principal components, with a fixed seed; of few pictures, the
    first two components themselves. Pictures whose features are not finite are left out; None where fewer than `LEAST`
    are left, or all are alike.
    """
    names = tuple(features.features)
    each = POINTS // max(len(names), 1)
    picked = {name: _picked(features.features[name], each) for name in names}
    rows = [features.features[name][places] for name, places in picked.items()]
    together = numpy.concatenate(rows) if rows else numpy.empty((0, 1))
    if len(together) < LEAST or numpy.ptp(together, axis=0).max() < ALIKE:
        return None
    with threadpool_limits(1):  # the order of sums, and with it the picture, depends on the threads
        points = _two_dimensions(together)
    return FeatureMap(
        points=_unit(points),
        domains=numpy.concatenate([numpy.full(len(part), place) for place, part in enumerate(rows)]),
        labels=numpy.concatenate([features.labels[name][places] for name, places in picked.items()]),
        domain_names=names,
        classes=features.classes,
    )


def _picked(rows: Array, count: int) -> NDArray[numpy.int64]:
    """Places of rows without nan and inf, evenly spread over all."""
    finite = numpy.flatnonzero(numpy.isfinite(rows).all(axis=1))
    if len(finite) <= count:
        return finite
    return finite[numpy.linspace(0, len(finite) - 1, count).astype(numpy.int64)]


def _two_dimensions(rows: Array) -> Array:
    rows = rows - rows.mean(axis=0)
    scale = float(numpy.abs(rows).max())
    components = PCA(min(COMPONENTS, *rows.shape), svd_solver="full").fit_transform(rows / scale)
    if len(rows) < FEWEST or components.shape[1] < 2:
        return numpy.pad(components, ((0, 0), (0, 2)))[:, :2]
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    layout = TSNE(perplexity=perplexity, max_iter=STEPS, init="pca", random_state=0).fit_transform(components)
    return numpy.asarray(layout, dtype=numpy.float64)


def _unit(points: Array) -> Array:
    """The same layout within the unit square, its proportions kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    reach = float((high - low).max())
    if not math.isfinite(reach) or reach <= 0:
        return numpy.full_like(points, 0.5)
    return numpy.asarray(0.5 + (points - (low + high) / 2) / reach)

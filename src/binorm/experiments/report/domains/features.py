"""Where networks put pictures of several domains: features of a run in two dimensions."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from binorm.experiments.common.run_files import FEATURES_FILE
from binorm.experiments.report.figures.features import Array, FeatureMap
from binorm.experiments.runs.files import check, damaged

POINTS = 600  # of a panel: more would hide each other
COMPONENTS = 50  # principal components that t-SNE starts from
FEWEST = 24  # points that t-SNE can say anything about
STEPS = 500
PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Features:
    """Features of some pictures of each domain of a run.

    Attributes:
        classes: their names.
        features: (n, D) for each domain.
        labels: (n,) for each domain, places in ``classes``.
    """

    classes: tuple[str, ...]
    features: Mapping[str, Array]
    labels: Mapping[str, NDArray[numpy.int64]]


def read_features(folder: Path) -> Features | None:
    """Read the features in a run's folder; None where there are none.

    Raises:
        UserError: for a damaged file.
    """
    path = folder / FEATURES_FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["binorm"])
            names, classes = map(str, about["domains"]), tuple(map(str, about["classes"]))
            features, labels = {}, {}
            for name in names:
                features[name] = file.get_tensor(f"{name}.features").astype(numpy.float64)
                labels[name] = file.get_tensor(f"{name}.labels").astype(numpy.int64)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    for name, rows in features.items():
        fine = rows.ndim == 2 and rows.shape[1] > 0 and labels[name].shape == rows.shape[:1]
        check(fine, path, f"{name!r} should have a row of features and a label for each picture")
        check(
            bool(((labels[name] >= 0) & (labels[name] < len(classes))).all()), path, f"a label of {name!r} is unknown"
        )
    check(len({rows.shape[1] for rows in features.values()}) <= 1, path, "features of its domains differ in length")
    return Features(classes, features, labels)


def feature_map(features: Features) -> FeatureMap | None:
    """Lay out up to `POINTS` pictures, as many of each domain, so that those with similar features are neighbours.

    t-SNE (van der Maaten & Hinton 2008) of the first principal components, with a fixed seed; of few pictures, the
    first two components themselves. Pictures whose features are not finite are left out; None where no other is left.
    """
    names = tuple(features.features)
    each = POINTS // max(len(names), 1)
    picked = {name: _picked(features.features[name], each) for name in names}
    rows = [features.features[name][places] for name, places in picked.items()]
    if not sum(map(len, rows)):
        return None
    with threadpool_limits(1):  # the order of sums, and with it the picture, depends on the threads
        points = _two_dimensions(numpy.concatenate(rows))
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
    if scale < 1e-12:
        return numpy.zeros((len(rows), 2))
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

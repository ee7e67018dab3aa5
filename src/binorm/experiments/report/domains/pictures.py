"""Which figures of a domain report are drawn from which runs: what is taken for what, and where pictures lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report import tables
from binorm.experiments.report.domains.confusion_figures import NUMBERED, confusion_figure
from binorm.experiments.report.domains.confusions import Confusions, largest_changes, pair_of
from binorm.experiments.report.domains.feature_figures import MapRow, feature_figure
from binorm.experiments.report.domains.features import FeatureMap, feature_map, read_features
from binorm.experiments.report.figure_style import SCREEN, Output
from binorm.experiments.report.pictures import Picture, file_name
from binorm.experiments.runs.domains import (
    ADAPTATION,
    GENERALIZATION,
    DomainRun,
    Task,
    kind_of,
    main_runs,
    methods_of,
)

DRAWN_TASKS = 3  # a map takes about a second, and a task has one for each method and norm
TRAINING_DOMAINS = "training domains"
_Maps = Mapping[tuple[str, str], tuple[int, FeatureMap]]


def confusion_pictures(found: Sequence[Confusions], note: str | None, output: Output = SCREEN) -> list[Picture]:
    """One figure a method: a row for each domain, batch norm beside BIN and their difference."""
    pictures: list[Picture] = []
    for method in dict.fromkeys(each.method for each in found):
        rows = [each for each in found if each.method == method]
        norms = pair_of(list(dict.fromkeys(norm for each in rows for norm in each.counts)))
        title = f"{method}, what is taken for what" if method else "What is taken for what"
        content = confusion_figure(title, rows, norms, note, output)
        caption = f"{method + ': of' if method else 'Of'} each true class, the percentage that was taken for each class"
        if len(norms) == 2:
            caption += f"; {norms[0]}, {norms[1]}, and {norms[1]} − {norms[0]} in percentage points"
            caption += _changes(rows, norms)
        file = file_name("confusions", method, f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def feature_pictures(
    runs: Sequence[DomainRun], tasks: Sequence[Task], note: str | None, output: Output = SCREEN
) -> list[Picture]:
    """For each of the first tasks and each method beside the baseline: maps before and after, with both norms.

    Of mixed training, one figure of both norms. Runs of the lowest seed that has kept its features.

    Raises:
        UserError: for a damaged file.
    """
    if not runs:
        return []
    kind = kind_of(runs)
    pictures: list[Picture] = []
    labels = {task.folder: task for task in tasks}
    for folder in list(labels)[:DRAWN_TASKS]:
        group = [each for each in main_runs(runs) if each.task == folder]
        norms = pair_of(tables.norms_of(each.run for each in group))
        maps = dict(_maps(group, norms))
        for method, before in _pairs(methods_of(group), kind):
            rows = list(_rows(maps, norms, method, before, labels[folder], kind))
            if rows:
                name = " ".join(filter(None, (method, folder)))
                title = f"{method}, {labels[folder].label}" if folder else "Features"
                content = feature_figure(title, rows, note, output)
                file = file_name("features", name, f".{output.format}", pictures)
                pictures.append(Picture(file, _caption(title, maps, kind), content))
    return pictures


def _changes(rows: Sequence[Confusions], norms: Sequence[str]) -> str:
    """Where numbers do not fit into the cells, the classes that change most."""
    texts = [
        f"{row.domain}: {changes}"
        for row in rows
        if len(row.classes) > NUMBERED
        and row.counts.keys() >= set(norms)
        and (changes := largest_changes(row, norms[0], norms[1]))
    ]
    return f". Recognized more and less often, by points: {'; '.join(texts)}" if texts else ""


def _maps(runs: Sequence[DomainRun], norms: Sequence[str]) -> Iterator[tuple[tuple[str, str], tuple[int, FeatureMap]]]:
    """Seed and map of each method and norm, from the first run that has kept its features."""
    for method in methods_of(runs):
        for norm in norms:
            done = [each.run for each in runs if (each.method, each.run.norm) == (method, norm)]
            for run in tables.finished(done):
                features = read_features(run.folder)
                shown = feature_map(features) if features else None
                if shown is not None:
                    yield (method, norm), (run.seed, shown)
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
        for shown, word in zip((before, method), words, strict=True):
            if shown is None or (shown, norm) not in maps:
                continue
            drawn = _named(maps[shown, norm][1])
            legend = legend or (drawn.domain_names, drawn.classes)
            if (drawn.domain_names, drawn.classes) == legend:
                yield MapRow(", ".join(filter(None, (norm, word + shown))), drawn, _faint(drawn, task, kind))


def _named(shown: FeatureMap) -> FeatureMap:
    names = (TRAINING_DOMAINS if name == VALIDATION else name for name in shown.domain_names)
    return replace(shown, domain_names=tuple(names))


def _faint(shown: FeatureMap, task: Task, kind: str) -> str | None:
    """What was trained on with labels; in mixed training that is everything."""
    if kind not in (ADAPTATION, GENERALIZATION):
        return None
    return next((name for name in shown.domain_names if name != task.target), None)


def _caption(title: str, maps: _Maps, kind: str) -> str:
    seeds = sorted({seed for seed, _ in maps.values()})
    text = f"{title}: each dot a picture, those with similar features side by side; seed {', '.join(map(str, seeds))}"
    faint = {ADAPTATION: "the source is paler", GENERALIZATION: f"the {TRAINING_DOMAINS} are paler"}.get(kind)
    return f"{text}; on the right {faint}" if faint else text

"""What others report of adaptation and mixed-domain training, as plain facts that stand beside our accuracies.

Sources: Nam & Kim 2018 (see `binorm.experiments.report.published`): Office-Home, DANN and mixed training of ResNet-18.
Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016: MNIST to MNIST-M. Tzeng et al., "Adversarial
Discriminative Domain Adaptation", CVPR 2017: DANN between MNIST and USPS. The last two as they are commonly cited.
"""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binorm.experiments.runs.domains import ADAPTATION, MIXED, Task


@dataclass(frozen=True)
class Report:
    """Accuracies that one source reports of one method.

    Attributes:
        source: names it in a table.
        remark: what a reader must know before comparing.
        kind: adaptation, generalization or mixed.
        method: as in a run's folder; ``""`` in mixed training.
        norm: as well; None where the reported networks have none of ours.
        data: the data set, where domains alone do not say it.
        accuracies: top-1 in percent by source and target domain; in mixed training the source is ``""``.
    """

    source: str
    remark: str
    kind: str
    method: str
    norm: str | None
    data: str | None
    accuracies: Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class PublishedRow:
    """A report beside our rows of one method.

    Attributes:
        method: as in a run's folder.
        norm: likewise, or None.
        source: who reports it.
        remark: what a reader must know before comparing.
        values: one for each task; None where nothing is reported.
        mean: over all tasks; None where one is missing or there is but one.
    """

    method: str
    norm: str | None
    source: str
    remark: str
    values: tuple[float | None, ...]
    mean: float | None


_OFFICE_HOME_REMARK = "the paper's are of ResNet-18; its split, pretraining and schedule are not published"
_GANIN_REMARK = "Ganin et al.'s are of a small network without batch norm, as commonly cited"
_ADDA_REMARK = "ADDA's are of its own network and of fewer pictures, as commonly cited"


def _office_home(values: Sequence[float]) -> dict[tuple[str, str], float]:
    names = ("art", "clipart", "product", "realworld")
    pairs = [(source, target) for source in names for target in names if source != target]
    return dict(zip(pairs, values, strict=True))


def _each(values: Sequence[float]) -> dict[tuple[str, str], float]:
    return {("", name): value for name, value in zip(("art", "clipart", "product", "realworld"), values, strict=True)}


_DANN_BN = _office_home((37.23, 46.17, 63.30, 49.38, 50.90, 60.09, 41.98, 37.34, 65.71, 58.64, 44.56, 71.17))
_DANN_BIN = _office_home((37.46, 46.73, 63.19, 50.00, 52.03, 60.55, 43.00, 37.69, 65.94, 59.67, 45.02, 71.85))
_MNIST_M = ("mnist", "mnistm")
REPORTS = (
    Report("paper", _OFFICE_HOME_REMARK, ADAPTATION, "dann", "bn", "officehome", _DANN_BN),
    Report("paper", _OFFICE_HOME_REMARK, ADAPTATION, "dann", "bin", "officehome", _DANN_BIN),
    Report("paper", _OFFICE_HOME_REMARK, MIXED, "", "bn", "officehome", _each((70.04, 76.93, 88.47, 80.38))),
    Report("paper", _OFFICE_HOME_REMARK, MIXED, "", "bin", "officehome", _each((72.23, 77.27, 89.12, 81.68))),
    Report("Ganin et al. 2016", _GANIN_REMARK, ADAPTATION, "source-only", None, None, {_MNIST_M: 52.25}),
    Report("Ganin et al. 2016", _GANIN_REMARK, ADAPTATION, "dann", None, None, {_MNIST_M: 76.66}),
    Report(
        "ADDA's table", _ADDA_REMARK, ADAPTATION, "dann", None, None, {("mnist", "usps"): 77.1, ("usps", "mnist"): 73.0}
    ),
)


def published_rows(
    kind: str, data: str, rows: Sequence[tuple[str, str]], tasks: Sequence[Task]
) -> tuple[PublishedRow, ...]:
    """What is reported of the tasks of a table; without reports that say nothing of any of them.

    Args:
        kind: adaptation, generalization or mixed.
        data: the data set's name; case and signs do not matter in it, nor in the domains'.
        rows: method and norm of every row of the table.
        tasks: its columns.
    """
    found = []
    for report in REPORTS:
        wanted = report.kind == kind and report.data in (None, _plain(data))
        compared = any(method == report.method and report.norm in (None, norm) for method, norm in rows)
        values = tuple(report.accuracies.get(_domains(task)) for task in tasks)
        if wanted and compared and any(value is not None for value in values):
            reported = [value for value in values if value is not None]
            mean = statistics.fmean(reported) if len(reported) == len(tasks) > 1 else None
            found.append(PublishedRow(report.method, report.norm, report.source, report.remark, values, mean))
    return tuple(found)


def _domains(task: Task) -> tuple[str, str]:
    return _plain("+".join(task.sources), keep="+"), _plain(task.target)


def _plain(name: str, keep: str = "") -> str:
    """``"Real_World"`` and ``"real-world"`` are both ``"realworld"``."""
    return re.sub(f"[^a-z0-9{keep}]", "", name.lower())

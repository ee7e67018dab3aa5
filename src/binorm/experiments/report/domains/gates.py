"""How much style BIN takes out: gates of mixed training beside those of single domains, of methods beside the baseline.

A gate below 0.5 is more instance norm than batch norm: it takes more of a picture's own style out than it keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report import gate_statistics, tables
from binorm.experiments.report.gate_statistics import TOTAL, LayerMeans, Shares
from binorm.experiments.report.statistics import (
    PairedDifference,
    Spread,
    mean_by_seed,
    paired_difference,
    signed,
    spread,
)
from binorm.experiments.runs.domains import (
    MIXED,
    SINGLE,
    DomainRun,
    kind_of,
    method_label,
    methods_of,
)
from binorm.experiments.runs.reading import RunResult
from binorm.gates import HISTOGRAM_BINS

ALL_DOMAINS, SINGLE_DOMAINS = "all domains", "single domains"


@dataclass(frozen=True)
class GateGroup:
    """The gates of one method, or of one choice of training domains, with one norm.

    Attributes:
        label: such as ``"dann"``, ``"all domains"`` or ``"only photo"``.
        runs: how many there are.
        layers: mean gates by layer in the order of the network, one value a run.
        shares: where the gates of all runs stand, in total and by stage.
        below: the share of gates below 0.5 in percent, likewise, over runs.
    """

    label: str
    runs: int
    layers: tuple[LayerMeans, ...]
    shares: Mapping[str, Shares]
    below: Mapping[str, Spread]


@dataclass(frozen=True)
class GateComparison:
    """The gates of one norm in all groups.

    Attributes:
        norm: its name.
        groups: what is compared, in the order of display.
        reference: what it is compared with: the baseline method, or the networks of single domains together; None
            without any.
        differences: of each group to the reference, in points of the share of gates below 0.5: paired by seed, means
            over tasks or single domains. Without groups that have no two pairs, and without the single domains.
    """

    norm: str
    groups: tuple[GateGroup, ...]
    reference: GateGroup | None
    differences: Mapping[str, PairedDifference]

    @property
    def compared(self) -> tuple[GateGroup, ...]:
        """The groups that are held against the reference: the methods, or training on all domains."""
        if self.reference is None:
            return self.groups
        if self.reference.label == SINGLE_DOMAINS:
            return tuple(group for group in self.groups if group.label == ALL_DOMAINS)
        return tuple(group for group in self.groups if group.label != self.reference.label)

    def sentences(self) -> list[str]:
        """Where more style is removed, in words and numbers."""
        return [self._sentence(group) for group in self.compared]

    def _sentence(self, group: GateGroup) -> str:
        reference = self.reference
        word = "trained on" if group.label == ALL_DOMAINS else "with"
        text = f"{self.norm} {word} {group.label}: {group.below[TOTAL].text(1)} % of the gates lie below 0.5"
        if reference is None:
            return f"{text}."
        text += f"; {word} {reference.label}: {reference.below[TOTAL].text(1)} %."
        test = self.differences.get(group.label)
        if test is None:
            return text
        more = {"higher": "more style is removed", "lower": "less style is removed"}.get(test.verdict, test.verdict)
        size = ", ".join(filter(None, (f"{test.text(1)} points", test.p_text())))
        return f"{text} Difference {size}: {more}.{_largest(group, reference)}"


def gate_comparisons(runs: Sequence[DomainRun]) -> tuple[GateComparison, ...]:
    """One for each norm with learned gates."""
    with_gates = [each for each in runs if isinstance(each.run, RunResult) and each.run.gate_layers]
    norms = tables.norms_of(each.run for each in with_gates)
    return tuple(_comparison(norm, [each for each in with_gates if each.run.norm == norm]) for norm in norms)


def below_half(shares: Shares) -> float:
    """The share of gates below 0.5, in percent."""
    return 100 * sum(shares.fractions[: HISTOGRAM_BINS // 2])


def _comparison(norm: str, runs: Sequence[DomainRun]) -> GateComparison:
    groups = {method: _group(_label(method), _of(runs, method)) for method in methods_of(runs)}
    reference, differences = None, {}
    if kind_of(runs) == MIXED:
        singles = [method for method in groups if method.startswith(SINGLE)]
        if singles and "" in groups:
            reference = _group(SINGLE_DOMAINS, [run for method in singles for run in _of(runs, method)])
            beside = [each for method in singles for each in _by_task(runs, method).values()]
            differences[ALL_DOMAINS] = _difference(list(_by_task(runs, "").values()), beside)
    elif (baseline := BASELINES[kind_of(runs)]) in groups:
        reference, base = groups[baseline], _by_task(runs, baseline)
        for method in groups.keys() - {baseline}:
            shares = _by_task(runs, method)
            tasks = [task for task in shares if shares[task].keys() & base.get(task, {}).keys()]
            differences[method] = _difference([shares[task] for task in tasks], [base[task] for task in tasks])
    known = {label: difference for label, difference in sorted(differences.items()) if difference}
    return GateComparison(norm, tuple(groups.values()), reference, known)


def _group(label: str, runs: Sequence[RunResult]) -> GateGroup:
    stages = [gate_statistics.by_stage(run.gate_layers) for run in runs]
    return GateGroup(
        label=label,
        runs=len(runs),
        layers=tuple(gate_statistics.layer_means(run.gate_layers for run in runs)),
        shares=(shares := gate_statistics.by_stage([layer for run in runs for layer in run.gate_layers])),
        below={stage: spread([below_half(each[stage]) for each in stages if stage in each]) for stage in shares},
    )


def _by_task(runs: Sequence[DomainRun], method: str) -> dict[str, dict[int, float]]:
    """The share of gates below 0.5 of a method's runs, by task, then seed."""
    found: dict[str, dict[int, float]] = {}
    for each in runs:
        if each.method == method and isinstance(each.run, RunResult):
            shares = gate_statistics.by_stage(each.run.gate_layers)
            found.setdefault(each.task, {})[each.run.seed] = below_half(shares[TOTAL])
    return found


def _difference(
    values: Sequence[Mapping[int, float]], beside: Sequence[Mapping[int, float]]
) -> PairedDifference | None:
    return paired_difference(mean_by_seed(values), mean_by_seed(beside))


def _of(runs: Sequence[DomainRun], method: str) -> list[RunResult]:
    return [each.run for each in runs if each.method == method and isinstance(each.run, RunResult)]


def _label(method: str) -> str:
    return method_label(method) or ALL_DOMAINS


def _largest(group: GateGroup, reference: GateGroup) -> str:
    """The stage whose share differs most, where there are several."""
    changes = {
        stage: below_half(group.shares[stage]) - below_half(reference.shares[stage])
        for stage in group.shares
        if stage != TOTAL and stage in reference.shares
    }
    if len(changes) < 2:
        return ""
    stage = max(changes, key=lambda each: abs(changes[each]))
    return f" The largest change is in {stage}: {signed(changes[stage], 1)} points."

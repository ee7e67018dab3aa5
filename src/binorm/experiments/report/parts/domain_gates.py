"""How much style BIN takes out: gates of mixed training beside those of single domains, of methods beside the baseline.

A gate below 0.5 is more instance norm than batch norm: it takes more of a picture's own style out than it keeps.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report.drawings import file_name, runs_text, top_of
from binorm.experiments.report.figures.gates import Bars, Histogram, gate_histogram, gate_histograms, share_bars
from binorm.experiments.report.figures.lines import Line, depth_curves
from binorm.experiments.report.figures.theme import SCREEN, Output, norm_colours, series_colours
from binorm.experiments.report.gates import TOTAL, LayerMeans, Shares, by_stage, layer_means
from binorm.experiments.report.movement import still
from binorm.experiments.report.page import Figure
from binorm.experiments.report.scores import corrected_verdict, finished, holm_of, norms_of
from binorm.experiments.report.significance import (
    PairedDifference,
    Spread,
    mean_by_seed,
    p_text,
    paired_difference,
    signed,
    spread,
)
from binorm.experiments.runs.domains import MIXED, kind_of, methods_of
from binorm.experiments.runs.reading import SINGLE, FinishedRun, Run, method_label
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
        p_holm: their p-values corrected for each other, likewise.
        motionless: what `still` says of the gates of all groups together; nothing where they moved.
    """

    norm: str
    groups: tuple[GateGroup, ...]
    reference: GateGroup | None
    differences: Mapping[str, PairedDifference]
    p_holm: Mapping[str, float] = field(default_factory=dict)
    motionless: str = ""

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
        if self.motionless:
            return [f"{self.norm}: {self.motionless}"]
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
        p_holm = self.p_holm.get(group.label, math.nan)
        verdict = corrected_verdict(test, p_holm)
        size = ", ".join(filter(None, (f"{test.text(1)} points", test.p_text(), p_text(p_holm, "Holm"))))
        found = {"higher": "more style is removed", "lower": "less style is removed"}.get(verdict)
        return f"{text} Difference {size}: {f'{found}.{_largest(group, reference)}' if found else f'{verdict}.'}"


def gate_comparisons(runs: Sequence[Run]) -> tuple[GateComparison, ...]:
    """One for each norm with learned gates."""
    with_gates = [run for run in finished(runs) if run.gate_layers]
    return tuple(_comparison(norm, finished(with_gates, norm)) for norm in norms_of(with_gates))


def below_half(shares: Shares) -> float:
    """The share of gates below 0.5, in percent."""
    return 100 * sum(shares.fractions[: HISTOGRAM_BINS // 2])


def _comparison(norm: str, runs: Sequence[FinishedRun]) -> GateComparison:
    groups = {method: _group(method_label(method) or ALL_DOMAINS, _of(runs, method)) for method in methods_of(runs)}
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
    tested = {label: difference for label, difference in sorted(differences.items()) if difference}
    p_holm = dict(zip(tested, holm_of(list(tested.values())), strict=True))
    return GateComparison(norm, tuple(groups.values()), reference, tested, p_holm, still(runs))


def _group(label: str, runs: Sequence[FinishedRun]) -> GateGroup:
    stages = [by_stage(run.gate_layers) for run in runs]
    return GateGroup(
        label=label,
        runs=len(runs),
        layers=tuple(layer_means(run.gate_layers for run in runs)),
        shares=(shares := by_stage([layer for run in runs for layer in run.gate_layers])),
        below={stage: spread([below_half(each[stage]) for each in stages if stage in each]) for stage in shares},
    )


def _by_task(runs: Sequence[FinishedRun], method: str) -> dict[str, dict[int, float]]:
    """The share of gates below 0.5 of a method's runs, by task, then seed."""
    found: dict[str, dict[int, float]] = {}
    for run in _of(runs, method):
        found.setdefault(run.task, {})[run.seed] = below_half(by_stage(run.gate_layers)[TOTAL])
    return found


def _difference(
    values: Sequence[Mapping[int, float]], beside: Sequence[Mapping[int, float]]
) -> PairedDifference | None:
    return paired_difference(mean_by_seed(values), mean_by_seed(beside))


def _of(runs: Sequence[FinishedRun], method: str) -> list[FinishedRun]:
    return [run for run in runs if run.method == method]


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


def depths_and_shares(comparisons: Sequence[GateComparison], note: str | None, output: Output = SCREEN) -> list[Figure]:
    """For each norm, the mean gate of every layer, one line a group, and the share of gates below 0.5 by stage."""
    drawn: list[Figure] = []
    for found in _moved(comparisons):
        groups = _alike(found)
        colours = _colours(found)
        lines = [Line(group.label, colours[group.label], _by_place(group)) for group in groups]
        lines.sort(key=lambda line: line.label == next(iter(colours)))  # on top of the others
        runs = ", ".join(f"{group.label} {group.runs}" for group in groups)
        numbers = {group.label: group.shares[TOTAL].mean for group in groups}
        content = depth_curves(f"{found.norm}, mean gate by layer", lines, numbers, note, output)
        caption = f"Mean gate of {found.norm} in each norm layer, mean ± std over runs ({runs}); numbers are means"
        file = file_name("gates by depth", found.norm, f".{output.format}", drawn)
        drawn.append(Figure(file, f"{caption} of all gates", content))
        bars = [Bars(group.label, colours[group.label], _whiskers(group)) for group in groups]
        if not any(mean for each in bars for mean, _ in each.values.values()):
            continue  # no gate lies below 0.5, as the sentences say
        content = share_bars(f"{found.norm}, gates below 0.5", bars, note, output)
        caption = f"Share of {found.norm}'s gates below 0.5 by stage, mean ± std over runs ({runs})"
        file = file_name("gates below half", found.norm, f".{output.format}", drawn)
        drawn.append(Figure(file, caption, content))
    return drawn


def histograms(comparisons: Sequence[GateComparison], note: str | None) -> list[Figure]:
    """For the page: for each norm and group one figure of all gates and one for each stage, beside the reference."""
    drawn: list[Figure] = []
    for found, group, panels in _histograms(comparisons):
        top = top_of(panels)
        colour = norm_colours([found.norm])[found.norm]
        for each in panels:
            content = gate_histogram(each, f"{found.norm}, {group.label}, {each.label}", colour, note, top)
            caption = f"Gates of {found.norm}, {group.label}, {each.label}: {group.shares[each.label].count:,} in "
            caption += runs_text(group.runs)
            file = file_name("gates", f"{found.norm} {group.label} {each.label}", ".svg", drawn)
            drawn.append(Figure(file, caption, content))
    return drawn


def histogram_panels(comparisons: Sequence[GateComparison], output: Output) -> list[Figure]:
    """For print: the same histograms, for each norm and group in one figure."""
    drawn: list[Figure] = []
    for found, group, panels in _histograms(comparisons):
        content = gate_histograms(panels, norm_colours([found.norm])[found.norm], output)
        caption = f"Share of channels by gate after training, {found.norm}, {group.label}"
        if found.reference is not None:
            caption += f"; outlines: {found.reference.label}"
        file = file_name("gates", f"{found.norm} {group.label}", f".{output.format}", drawn)
        drawn.append(Figure(file, caption, content))
    return drawn


def _histograms(
    comparisons: Sequence[GateComparison],
) -> Iterator[tuple[GateComparison, GateGroup, list[Histogram]]]:
    for found in _moved(comparisons):
        beside = found.reference.shares if found.reference else {}
        for group in found.compared or found.groups:
            yield (
                found,
                group,
                [
                    Histogram(
                        stage,
                        shares.fractions,
                        beside[stage].fractions if stage in beside else None,
                        found.reference.label if found.reference else "",
                    )
                    for stage, shares in group.shares.items()
                ],
            )


def _moved(comparisons: Sequence[GateComparison]) -> list[GateComparison]:
    """Those whose gates moved; of the others a figure would show nothing."""
    return [found for found in comparisons if not found.motionless]


def _alike(found: GateComparison) -> list[GateGroup]:
    """The groups with the layers of the first: those of another network would not stand at the same places."""
    names = [layer.name for layer in found.groups[0].layers]
    return [group for group in found.groups if [layer.name for layer in group.layers] == names]


def _whiskers(group: GateGroup) -> dict[str, tuple[float, float]]:
    return {stage: (each.mean, each.std) for stage, each in group.below.items()}


def _by_place(group: GateGroup) -> dict[int, tuple[float, ...]]:
    return {place: layer.means for place, layer in enumerate(group.layers, start=1)}


def _colours(found: GateComparison) -> dict[str, str]:
    """The norm's own colour for what the reader looks at first, grey for the baseline, others for the rest."""
    labels = [group.label for group in found.groups]
    first = ALL_DOMAINS if ALL_DOMAINS in labels else next((group.label for group in found.compared), labels[0])
    return series_colours(labels, first, norm_colours([found.norm])[found.norm])

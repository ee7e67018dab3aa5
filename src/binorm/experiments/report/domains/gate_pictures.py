"""Which figures of gates a domain report has: by depth, by stage, and histograms beside those of the reference."""

from collections.abc import Iterator, Sequence

from binorm.experiments.report.domains.gates import ALL_DOMAINS, GateComparison, GateGroup
from binorm.experiments.report.figures import lines as figures
from binorm.experiments.report.figures.gates import Bars, Histogram, gate_histogram, gate_histograms, share_bars
from binorm.experiments.report.figures.theme import SCREEN, Output, norm_colours, series_colours
from binorm.experiments.report.gate_statistics import TOTAL
from binorm.experiments.report.pictures import Picture, file_name


def depths_and_shares(
    comparisons: Sequence[GateComparison], note: str | None, output: Output = SCREEN
) -> list[Picture]:
    """For each norm, the mean gate of every layer, one line a group, and the share of gates below 0.5 by stage."""
    pictures: list[Picture] = []
    for found in comparisons:
        groups = _alike(found)
        colours = _colours(found)
        lines = [figures.Line(group.label, colours[group.label], _by_place(group)) for group in groups]
        lines.sort(key=lambda line: line.label == next(iter(colours)))  # on top of the others
        runs = ", ".join(f"{group.label} {group.runs}" for group in groups)
        numbers = {group.label: group.shares[TOTAL].mean for group in groups}
        content = figures.depth_curves(f"{found.norm}, mean gate by layer", lines, numbers, note, output)
        caption = f"Mean gate of {found.norm} in each norm layer, mean ± std over runs ({runs}); numbers are means"
        file = file_name("gates by depth", found.norm, f".{output.format}", pictures)
        pictures.append(Picture(file, f"{caption} of all gates", content))
        bars = [
            Bars(
                group.label, colours[group.label], {stage: (each.mean, each.std) for stage, each in group.below.items()}
            )
            for group in groups
        ]
        content = share_bars(f"{found.norm}, gates below 0.5", bars, note, output)
        caption = f"Share of {found.norm}'s gates below 0.5 by stage, mean ± std over runs ({runs})"
        file = file_name("gates below half", found.norm, f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def histograms(comparisons: Sequence[GateComparison], note: str | None) -> list[Picture]:
    """For the page: for each norm and group one figure of all gates and one for each stage, beside the reference."""
    pictures: list[Picture] = []
    for found, group, drawn in _histograms(comparisons):
        top = max(max(*each.fractions, *(each.reference or [0.0])) for each in drawn)
        colour = norm_colours([found.norm])[found.norm]
        for each in drawn:
            content = gate_histogram(each, f"{found.norm}, {group.label}, {each.label}", colour, note, top)
            caption = f"Gates of {found.norm}, {group.label}, {each.label}: {group.shares[each.label].count:,} in "
            caption += f"{group.runs} run{'s' * (group.runs != 1)}"
            file = file_name("gates", f"{found.norm} {group.label} {each.label}", ".svg", pictures)
            pictures.append(Picture(file, caption, content))
    return pictures


def histogram_panels(comparisons: Sequence[GateComparison], output: Output) -> list[Picture]:
    """For print: the same histograms, for each norm and group in one figure."""
    pictures: list[Picture] = []
    for found, group, drawn in _histograms(comparisons):
        content = gate_histograms(drawn, norm_colours([found.norm])[found.norm], output)
        caption = f"Share of channels by gate after training, {found.norm}, {group.label}"
        if found.reference is not None:
            caption += f"; outlines: {found.reference.label}"
        file = file_name("gates", f"{found.norm} {group.label}", f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def _histograms(
    comparisons: Sequence[GateComparison],
) -> Iterator[tuple[GateComparison, GateGroup, list[Histogram]]]:
    for found in comparisons:
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


def _alike(found: GateComparison) -> list[GateGroup]:
    """The groups with the layers of the first: those of another network would not stand at the same places."""
    names = [layer.name for layer in found.groups[0].layers]
    return [group for group in found.groups if [layer.name for layer in group.layers] == names]


def _by_place(group: GateGroup) -> dict[int, tuple[float, ...]]:
    return {place: layer.means for place, layer in enumerate(group.layers, start=1)}


def _colours(found: GateComparison) -> dict[str, str]:
    """The norm's own colour for what the reader looks at first, grey for the baseline, others for the rest."""
    labels = [group.label for group in found.groups]
    first = ALL_DOMAINS if ALL_DOMAINS in labels else next((group.label for group in found.compared), labels[0])
    return series_colours(labels, first, norm_colours([found.norm])[found.norm])

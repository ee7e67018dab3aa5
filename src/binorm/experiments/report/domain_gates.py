"""How much style BIN takes out: gates of mixed training beside those of single domains, of methods beside the baseline.

A gate below 0.5 is more instance norm than batch norm: it takes more of a picture's own style out than it keeps.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binorm.experiments.report import gate_statistics, tables
from binorm.experiments.report.domain_runs import (
    BASELINES,
    MIXED,
    SINGLE,
    DomainRun,
    kind_of,
    method_label,
    methods_of,
)
from binorm.experiments.report.gate_statistics import TOTAL, LayerMeans, Shares
from binorm.experiments.report.run_folder import GateLayer, RunResult
from binorm.experiments.report.statistics import PairedDifference, Spread, mean_by_seed, paired_difference, spread

HALF = 0.5


@dataclass(frozen=True)
class GateGroup:
    """The runs of one method, or of one way to train, with one norm.

    Attributes:
        label: such as ``"dann"``, ``"mixed"`` or ``"only photo"``.
        method: as in a run's folder.
        runs: how many there are.
        layers: mean gates by layer in the order of the network, one value a run.
        shares: where all their gates stand, in total and by stage.
        below: the share of gates below 0.5, in percent, by the same groups, over runs.
    """

    label: str
    method: str
    runs: int
    layers: tuple[LayerMeans, ...]
    shares: Mapping[str, Shares]
    below: Mapping[str, Spread]


@dataclass(frozen=True)
class GateComparison:
    """Gates of one norm in all groups.

    Attributes:
        norm: its name.
        groups: what is compared, the reference last in mixed training (single domains) and first elsewhere.
        differences: by label of a group, its share of gates below 0.5 minus that of the reference, in points, paired by
            seed and averaged over tasks; without groups that have no two pairs.
        reference: what the differences are to; empty where there is nothing.
    """

    norm: str
    groups: tuple[GateGroup, ...]
    differences: Mapping[str, PairedDifference]
    reference: str

    def sentences(self) -> list[str]:
        """Where more style is removed, in words."""
        found = [
            f"{group.label}: {group.below[TOTAL].text(1)} % of the gates lie below 0.5, mean gate "
            f"{group.shares[TOTAL].mean:.2f}"
            for group in self.groups
        ]
        return found

"""Where the figures of a report come from: commands, times, machine, recipe, and what was left out."""

from collections.abc import Sequence
from typing import Any

from binorm.experiments.common.text import duration
from binorm.experiments.report import tables
from binorm.experiments.report.tables import Run


def origins(runs: Sequence[Run]) -> dict[str, Any]:
    """What the templates of ``origins`` show of all runs, finished or not."""
    records = [run.record for run in runs if run.record is not None]
    return {
        "skipped": _skipped(runs),
        "commands": list(dict.fromkeys(record.command for record in records)),
        "total_time": duration(sum(record.seconds for record in records)),
        "run_count": len(runs),
        "started": min((record.started for record in records), default=""),
        "provenance": tables.provenance(runs),
        "recipe": tables.merge(run.config for run in tables.finished(runs)),
    }


def _skipped(runs: Sequence[Run]) -> list[str]:
    names = [name for run in runs if run.record is not None for name in run.record.data.get("skipped") or ()]
    return sorted(map(str, dict.fromkeys(names)))

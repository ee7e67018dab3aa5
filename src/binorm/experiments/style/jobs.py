"""What 'binorm stylize' has to do: which file becomes which, known before any work."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from binorm.experiments.common.picture_names import PICTURE_SUFFIXES, UNREAD_SUFFIXES, VIDEO_SUFFIXES
from binorm.experiments.style.inputs import find_inputs
from binorm.experiments.style.result_names import result_names, result_suffix
from binorm.experiments.style.video_start import begins_as_video

RESULTS = "results in this style"


@dataclass(frozen=True)
class Job:
    """One file to stylize."""

    source: Path
    target: Path
    is_video: bool


@dataclass(frozen=True)
class Plan:
    """All files to stylize, what else was given that cannot be, in sentences, and what was passed over, by reason."""

    jobs: Sequence[Job]
    faults: Sequence[str]
    left_out: Mapping[str, Sequence[str]]


def plan_jobs(given: Sequence[str], out: Path, style: str, picture_format: str = "keep") -> Plan:
    """The files to stylize and those to write, below ``out``; see `find_inputs`, `result_names` and `result_suffix`.

    A picture of a folder that is the result of another one, from an earlier time, is passed over. No result replaces
    an input.
    """
    inputs = find_inputs(given, out)
    videos = [is_video(file.source) for file in inputs.files]
    suffixes = [
        result_suffix(file.source, video, picture_format) for file, video in zip(inputs.files, videos, strict=True)
    ]
    targets = [out / name for name in result_names(inputs.files, suffixes, style)]
    results = set(map(os.path.realpath, targets))
    named = {os.path.realpath(file.source) for file in inputs.files if not file.found}
    jobs = []
    for file, target, video in zip(inputs.files, targets, videos, strict=True):
        if file.found and os.path.realpath(file.source) in results:
            inputs.left_out.setdefault(RESULTS, []).append(str(file.source))
        elif os.path.realpath(target) in named:
            inputs.faults.append(
                f"{file.source} would become {target}, which is an input itself: give another folder with --out"
            )
        else:
            jobs.append(Job(file.source, target, video))
    return Plan(jobs, inputs.faults, inputs.left_out)


def is_video(source: Path) -> bool:
    """By its name; where that says nothing, by how the file begins."""
    suffix = source.suffix.lower()
    return suffix in VIDEO_SUFFIXES or (suffix not in PICTURE_SUFFIXES | UNREAD_SUFFIXES and begins_as_video(source))

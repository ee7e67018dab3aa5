"""Pictures to calibrate with, apart from those to test on."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.photographs import Photographs, read_photographs, require_labels
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import counted
from binorm.experiments.data.alike import digests
from binorm.experiments.rescue.candidates import Subject


def subjects(
    classifiers: Sequence[tuple[str, Classifier]],
    images: Path,
    calibration: Path | None,
    calibration_pictures: int,
    pictures: int,
) -> tuple[list[Subject], str, list[str]]:
    """Networks with labelled pictures to test on and, of others, a pool to calibrate with.

    Args:
        classifiers: with their names.
        images: labelled pictures: a folder or archive.
        calibration: pictures for the pool, whose labels are not looked at; None takes them from ``images``, by chance,
            the same for every network and seed, and leaves these out of the test.
        calibration_pictures: how many to take from ``images``; 0 where none are needed, which leaves the pool empty.
        pictures: how many to test on at most; 0 for all.

    Returns:
        The subjects; where the pool comes from, in words; and remarks on the pictures.

    Raises:
        UserError: for pictures without labels, or too few.
    """
    apart = calibration_pictures if calibration is None else 0
    found, remarks = [], []
    for name, classifier in classifiers:
        labelled = read_photographs(images, classifier, pictures + apart if pictures else 0)
        require_labels(labelled, classifier)
        remarks += _remarks(labelled)
        pool = None
        if apart:
            labelled, pool = _split(labelled, apart)
        elif calibration_pictures and calibration is not None:
            pool = read_photographs(calibration, classifier)
            remarks += _remarks(pool) + _shared(labelled, pool)
            if len(pool) < calibration_pictures:
                raise UserError(
                    f"{calibration} has {counted(len(pool), 'picture')}: expected at least the {calibration_pictures} "
                    "of --calibration-pictures"
                )
        found.append(Subject(name, classifier, labelled, pool))
    _check_same(found)
    if not calibration_pictures:
        words = "none"
    elif calibration is None:
        words = f"{calibration_pictures} of the pictures of {images}, drawn by chance and left out of the test"
    else:
        there = len(found[0].pool or ())
        words = f"{calibration_pictures} of the {there} pictures of {calibration}, drawn by each seed"
    return found, words, list(dict.fromkeys(remarks))


def short_names(models: Sequence[str]) -> list[str]:
    """Names for the models of a command line: of paths, as many of their last parts as tell them apart.

    Raises:
        UserError: if one is given twice.
    """
    if len(set(models)) < len(models):
        raise UserError(f"a model is named twice: {' '.join(models)}")
    places = {model: _parts(model) for model in models}
    for count in range(1, max(map(len, places.values())) + 1):
        names = ["/".join(places[model][-count:]) for model in models]
        if len(set(names)) == len(names):
            return names
    return list(models)


def _parts(model: str) -> tuple[str, ...]:
    """Of a path without the file's ending; of a run its norm and seed as one."""
    path = Path(model)
    if not path.exists():
        return (model,)
    whole = PurePosixPath(path.resolve().as_posix())
    parts = whole.parts if path.is_dir() else (*whole.parts[:-1], whole.stem)
    if parts[-1] == "model":  # as a run's weights are called
        parts = parts[:-1]
    return (*parts[:-2], "/".join(parts[-2:])) if parts[-1].startswith("seed") else parts


def _split(photographs: Photographs, apart: int) -> tuple[Photographs, Photographs]:
    """Those to test on, and ``apart`` others."""
    count = len(photographs)
    if count < apart + 2:
        raise UserError(
            f"{photographs.source} has {counted(count, 'picture')}: too few to calibrate with {apart} and to test on "
            "others. Give more, fewer --calibration-pictures, or a folder of others with --calibration"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    drawn, rest = sorted(order[:apart]), sorted(order[apart:])
    return photographs.subset(rest), photographs.subset(drawn)


def _check_same(found: Sequence[Subject]) -> None:
    """Whether all subjects are tested on the same files."""
    for each in found[1:]:
        if each.test.names != found[0].test.names:
            other = sorted(set(each.test.names) ^ set(found[0].test.names))
            raise UserError(
                f"{each.name} and {found[0].name} can read different pictures of {each.test.source}, such as "
                f"{other[0]!r}: remove what is broken"
            )


def _remarks(photographs: Photographs) -> list[str]:
    """What was left out."""
    said = [f"left out, cannot be decoded: {each}" for each in photographs.broken]
    said += [f"left out: {reason} ({len(names)}, such as {names[0]})"
             for reason, names in (photographs.left_out or {}).items() if names]  # fmt: skip
    return said


def _shared(test: Photographs, pool: Photographs) -> list[str]:
    """How many test pictures are in the pool as well."""
    known = set(digests(pool.pictures))
    count = sum(each in known for each in digests(test.pictures))
    if not count:
        return []
    return [f"{count} of the {len(test)} test pictures are, pixel for pixel, among the {len(pool)} to calibrate with"]

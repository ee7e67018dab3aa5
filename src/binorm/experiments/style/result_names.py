"""What the results of 'binorm stylize' are called: no two alike on any file system, and the same each time."""

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from binorm.experiments.common.run_files import STYLE_FILE
from binorm.experiments.style.inputs import GivenFile
from binorm.experiments.style.style_file import StyleCard
from binorm.experiments.style.video.containers import target_suffix

LONGEST_NAME = 255  # bytes that nearly every file system gives a file's name
LONGEST_STYLE = 100  # bytes of them that a style's name may take
PICTURE_TARGETS = {".jpg": ".jpg", ".jpeg": ".jpeg", ".jpe": ".jpg", ".jfif": ".jpg", ".webp": ".webp"}


def style_label(path: Path, card: StyleCard) -> str:
    """What a style is called in the names of results: as its file, or by its title where all files are called so."""
    name = path.name.removesuffix(".safetensors")
    if path.name == STYLE_FILE:
        name = re.sub(r"[\W_]+", "-", card.title.lower()).strip("-") or "style"
    return _cut(name, LONGEST_STYLE)


def result_suffix(source: Path, is_video: bool, picture_format: str) -> str:
    """How the name of a result ends; ``picture_format`` is ``png``, ``jpg``, ``webp``, or ``keep`` for the source's."""
    suffix = source.suffix.lower()
    if is_video:
        return target_suffix(source)
    return PICTURE_TARGETS.get(suffix, ".png") if picture_format == "keep" else f".{picture_format}"


def result_names(files: Sequence[GivenFile], suffixes: Sequence[str], style: str) -> list[Path]:
    """Where each file's result belongs, below the folder of all results: ``<folder>/<stem>-<style><suffix>``.

    Where two would be the same, also to a file system that does not tell capitals or forms of Unicode apart, their
    stems get the suffixes of their sources if those differ (``star-gif-udnie.png``), and a number if not
    (``star-2-udnie.png``). A stem that is too long for a file's name is cut, with its hash behind.
    """
    stems = [file.source.stem for file in files]
    names = [_name(*each, style) for each in zip(files, stems, suffixes, strict=True)]
    for same in _clashes(names):
        kinds = {each: files[each].source.suffix.lower().removeprefix(".") for each in same}
        for each in same if len(set(kinds.values())) > 1 else ():
            stems[each] = "-".join(filter(None, (stems[each], kinds[each])))
            names[each] = _name(files[each], stems[each], suffixes[each], style)
    taken = set(map(_key, names))
    for same in _clashes(names):
        for each in sorted(same, key=lambda each: str(files[each].source))[1:]:
            numbered = (_name(files[each], f"{stems[each]}-{number}", suffixes[each], style) for number in count(2))
            names[each] = next(name for name in numbered if _key(name) not in taken)
            taken.add(_key(names[each]))
    return names


def _name(file: GivenFile, stem: str, suffix: str, style: str) -> Path:
    end = f"-{style}{suffix}"
    return file.folder / f"{_cut(stem, LONGEST_NAME - len(os.fsencode(end)))}{end}"


def _clashes(names: Sequence[Path]) -> list[list[int]]:
    """Positions of names that some file system takes for the same, group by group."""
    groups = defaultdict(list)
    for position, name in enumerate(names):
        groups[_key(name)].append(position)
    return [positions for positions in groups.values() if len(positions) > 1]


def _key(name: Path) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(name)).casefold())


def _cut(text: str, length: int) -> str:
    """A text of so many bytes at most, told from others with the same beginning by a part of its hash."""
    if len(os.fsencode(text)) <= length:
        return text
    end = f"-{hashlib.sha256(os.fsencode(text)).hexdigest()[:8]}"
    while len(os.fsencode(text + end)) > length:
        text = text[:-1]
    return text + end

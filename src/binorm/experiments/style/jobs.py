"""What 'binorm stylize' has to do: which file becomes which, known before any work."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import STYLE_FILE
from binorm.experiments.style.style_file import StyleCard

# What a picture's file is called, and its stylized one unless another format is asked for.
PICTURE_SUFFIXES = {
    ".png": ".png", ".jpg": ".jpg", ".jpeg": ".jpeg", ".jfif": ".jpg", ".webp": ".webp",
    ".bmp": ".png", ".tif": ".png", ".tiff": ".png", ".gif": ".png",
}  # fmt: skip
VIDEO_SUFFIXES = {
    ".mp4": ".mp4", ".mov": ".mov", ".mkv": ".mkv", ".webm": ".webm", ".avi": ".mkv", ".m4v": ".mp4",
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One file to stylize."""

    source: Path
    target: Path

    @property
    def is_video(self) -> bool:
        """By its name."""
        return self.source.suffix.lower() in VIDEO_SUFFIXES


def plan_jobs(inputs: Sequence[Path], out: Path, style: str, picture_format: str = "keep") -> list[Job]:
    """The files to stylize and those to write: ``<out>/<folders below the input>/<stem>-<style><suffix>``.

    Of folders, the pictures are taken with those of their sub-folders; no hidden ones, and not those of ``out`` if that
    is such a sub-folder. ``picture_format`` is ``png``, ``jpg``, ``webp``, or ``keep`` for that of the input, and png
    for those that are read and not written.

    Raises:
        UserError: for an input that is not there, a folder without pictures, two inputs with the same output, and an
            output that would replace an input.
    """
    targets: dict[Path, Path] = {}
    sources: dict[Path, Path] = {}
    for given in inputs:
        for source, folder in _files(given, out):
            if source.resolve() in sources:
                continue
            sources[source.resolve()] = source
            target = out / folder / f"{source.stem}-{style}{_suffix(source, picture_format)}"
            other = targets.setdefault(target, source)
            if other is not source:
                raise UserError(
                    f"{other} and {source} would both become {target}: rename one, or stylize it on its own"
                )
    for target, source in targets.items():
        if target.resolve() in sources:
            raise UserError(f"{source} would become {target}, which is an input itself: give another folder with --out")
    return [Job(source, target) for target, source in targets.items()]


def output_name(path: Path, card: StyleCard) -> str:
    """What a style is called in the names of outputs: as its file, or by its title where all files are called so."""
    if path.name != STYLE_FILE:
        return path.name.removesuffix(".safetensors")
    return re.sub(r"[\W_]+", "-", card.title.lower()).strip("-") or "style"


def _files(given: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Files, each with the folder below ``out`` where its result belongs."""
    if not given.is_dir():
        if not given.exists():
            raise UserError(f"there is no file or folder {given}")
        yield given, Path()
        return
    found = False
    results = {out.resolve()} if given.resolve() in out.resolve().parents else set()
    for path in sorted(given.rglob("*")):
        inner = path.relative_to(given)
        if _is_folders_picture(path, inner) and results.isdisjoint(path.resolve().parents):
            found = True
            yield path, inner.parent
    if not found:
        raise UserError(f"{given} holds no pictures ({', '.join(PICTURE_SUFFIXES)}); give videos by their own names")


def _is_folders_picture(path: Path, inner: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in inner.parts)
    return path.suffix.lower() in PICTURE_SUFFIXES and not hidden and path.is_file()


def _suffix(source: Path, picture_format: str) -> str:
    suffix = source.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VIDEO_SUFFIXES[suffix]
    return PICTURE_SUFFIXES.get(suffix, ".png") if picture_format == "keep" else f".{picture_format}"

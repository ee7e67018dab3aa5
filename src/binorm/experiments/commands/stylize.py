"""``binorm stylize``."""

import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE, ERRORS, one_line, plain
from binorm.experiments.common.errors import UserError

if TYPE_CHECKING:
    from rich.status import Status

    from binorm.experiments.style.drawing.stylizer import Stylizer
    from binorm.experiments.style.jobs import Job, Plan

DEFAULT_STYLE = "starry-night"
SMALLEST_SIZE = 8
LONGEST_REASON = 300  # characters of another library's error that are shown


def _run(options: Namespace, command: str) -> int:
    if options.list or not options.inputs:
        return _list_styles()
    from binorm.experiments.common.files import require_writable
    from binorm.experiments.data.trees.folder_walk import by_reason
    from binorm.experiments.style.drawing.stylizer import Stylizer
    from binorm.experiments.style.jobs import plan_jobs
    from binorm.experiments.style.result_names import style_label
    from binorm.experiments.style.style_file import load_style, style_path

    if not options.out.strip():
        raise UserError(f"--out should name a folder (got {options.out!r})")
    path = style_path(options.style)
    network, card = load_style(path)
    stylizer = Stylizer(network, options.gate)
    out = Path(os.path.expanduser(options.out))  # noqa: PTH111 - Path's own fails where there is no such home
    plan = plan_jobs(options.inputs, out, style_label(path, card), options.format)
    for fault in plan.faults:
        _say_error(fault)
    if plan.jobs:
        _check_options(options, plan.jobs)
        require_writable(out)
    if plan.left_out:
        ERRORS.print("[yellow]left out:[/]", one_line(by_reason(plan.left_out)))
    return _stylize_all(plan, stylizer, options)


def _check_options(options: Namespace, jobs: "Sequence[Job]") -> None:
    """Raise for what would otherwise be found out in the middle of the work, or never."""
    from binorm.experiments.style.drawing.stylizer import check_strength

    check_strength(options.strength)
    videos = [job.source for job in jobs if job.is_video]
    if "consistency" in options and not videos:
        raise UserError(f"--consistency is that of videos, and there are none (got {options.consistency})")
    if "consistency" in options and not 0.0 <= options.consistency <= 1.0:
        raise UserError(f"--consistency should lie between 0 and 1 (got {options.consistency})")
    if "size" in options and videos:
        raise UserError(f"--size is that of pictures, and {videos[0]} is a video: stylize it without")
    if "size" in options and options.size < SMALLEST_SIZE:
        raise UserError(f"--size should be at least {SMALLEST_SIZE} pixels (got {options.size})")


def _stylize_all(plan: "Plan", stylizer: "Stylizer", options: Namespace) -> int:
    """Do every job by itself, whatever becomes of the others; returns the exit code."""
    from binorm.experiments.common.files import UnwritableError

    count, broken = len(plan.jobs) + len(plan.faults), len(plan.faults)
    kept: list[Path] = []
    for position, job in enumerate(plan.jobs):
        if os.path.lexists(job.target) and not options.overwrite:
            kept.append(job.target)
            continue
        try:
            _stylize(job, stylizer, options)
        except UnwritableError as error:  # as would be all others
            _say_error(str(error))
            rest = len(plan.jobs) - position
            ERRORS.print(f"stopped: {rest:,} of {count:,} files are not drawn yet; the same command goes on with them")
            return 2
        except Exception as error:  # libraries that read files raise nearly anything for some
            _say_error(_explained(job, error))
            broken += 1
    if kept:
        _say_kept(kept, count)
    if broken and count > 1:
        ERRORS.print(f"{broken:,} of {count:,} files could not be stylized")
    return 2 if broken else 0


def _stylize(job: "Job", stylizer: "Stylizer", options: Namespace) -> None:
    """Do one job and say so; what libraries warn of meanwhile is said of its file."""
    from binorm.experiments.common.files import write_bytes_atomically

    def show_warning(message: Warning | str, *_: object) -> None:
        ERRORS.print("[yellow]warning:[/]", one_line(f"{job.source}: {message}"))

    start = time.perf_counter()
    with warnings.catch_warnings(), CONSOLE.status(one_line(str(job.source))) as status:
        warnings.showwarning = show_warning  # type: ignore[assignment]
        if job.is_video:
            facts = _stylize_video(job, stylizer, options, status)
        else:
            data, facts = _stylized_picture(job, stylizer, options)
            write_bytes_atomically(job.target, data)
    CONSOLE.print(one_line(f"{job.source}  {facts}  {time.perf_counter() - start:.1f} s  {job.target}"))


def _stylized_picture(job: "Job", stylizer: "Stylizer", options: Namespace) -> tuple[bytes, str]:
    """The file's content, and the picture's size."""
    from dataclasses import replace

    from binorm.experiments.style.picture_files import WRITE_FORMATS, encode_picture, read_picture, resize_picture

    picture = read_picture(job.source)
    if "size" in options:
        picture = resize_picture(picture, options.size)
    picture = replace(picture, pixels=stylizer(picture.pixels, options.strength))
    height, width = picture.pixels.shape[:2]
    facts = f"{width}x{height}" + f"  the first of {picture.frames:,} frames or pages" * (picture.frames > 1)
    return encode_picture(picture, WRITE_FORMATS[job.target.suffix]), facts


def _stylize_video(job: "Job", stylizer: "Stylizer", options: Namespace, status: "Status") -> str:
    """Size, frames and flicker of the new video."""
    from binorm.experiments.style.video.stylize import stylize_video

    def show(done: int, total: int | None) -> None:
        status.update(one_line(f"{job.source}  {done:,}{f' of {total:,}' if total else ''} frames"))

    consistency = options.consistency if "consistency" in options else 0.0
    facts = stylize_video(job.source, job.target, stylizer, options.strength, consistency, show)
    for each in facts.warnings:
        ERRORS.print("[yellow]warning:[/]", one_line(f"{job.source}: {each}"))
    suffix = job.source.suffix.lower()
    other = f"  {job.target.suffix} instead of {suffix}" if suffix not in ("", job.target.suffix) else ""
    return f"{facts.width}x{facts.height}  {facts.frames:,} frames  flicker {facts.flicker:.2f}{other}"


def _say_error(message: str) -> None:
    ERRORS.print("[bold red]error:[/]", one_line(message))


def _say_kept(kept: Sequence[Path], count: int) -> None:
    """Say which files were there before."""
    if count == 1:
        text = f"{kept[0]} exists already and is left alone: --overwrite draws it anew"
    else:
        text = f"{len(kept):,} of {count:,} results exist already and are left alone, such as {kept[0]}: "
        text += "--overwrite draws them anew"
    ERRORS.print(one_line(text))


def _explained(job: "Job", error: Exception) -> str:
    """What went wrong, with the name of the file."""
    text = str(error)
    if isinstance(error, UserError):
        return text if str(job.source) in text or str(job.target) in text else f"{job.source}: {text}"
    if isinstance(error, MemoryError):
        return f"{job.source} cannot be stylized: there is not enough memory for it"
    reason = " ".join(text.split())[:LONGEST_REASON]
    return f"{job.source} cannot be stylized: {': '.join(filter(None, (type(error).__name__, reason)))}"


def _list_styles() -> int:
    from rich import box
    from rich.table import Table

    from binorm.experiments.style.style_file import load_style, style_names

    names = style_names()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("style", no_wrap=True, min_width=max(map(len, names), default=0))  # to be typed as it is
    for heading in ("title", "artist", "date"):
        table.add_column(heading)
    for name in names:
        card = load_style(name)[1]
        table.add_row(*map(plain, (name, card.title, card.artist, card.date)))
    CONSOLE.print(table, soft_wrap=False)
    CONSOLE.print("use one with 'binorm stylize photo.jpg --style NAME'")
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "inputs", nargs="*", type=str, help="pictures, folders of pictures, and videos; nothing for a list of styles"
    )
    parser.add_argument("--list", action="store_true", help="print the styles that come with binorm")
    parser.add_argument(
        "--style", type=str, default=DEFAULT_STYLE, help="a style's name, its .safetensors, or the folder of its run"
    )
    parser.add_argument("--out", type=str, default="stylized", metavar="DIR", help="folder of the results")
    parser.add_argument("--overwrite", action="store_true", help="draw again what is there already, and replace it")
    parser.add_argument("--strength", type=float, default=1.0, help="from 0, the photo, to 1, the style")
    parser.add_argument(
        "--gate",
        type=float,
        default=0.0,
        help="shift the gates: 0 as trained; towards -1 to instance norm, which takes the photo's own contrast out of "
        "each channel; towards 1 to batch norm, which keeps it",
    )
    parser.add_argument(
        "--size", type=int, default=SUPPRESS, metavar="N", help="bring the longer side of pictures to N pixels first"
    )
    parser.add_argument(
        "--format",
        type=Literal["keep", "png", "jpg", "webp"],
        default="keep",
        help="of pictures; keep writes png for formats that are read alone",
    )
    parser.add_argument(
        "--consistency", type=float, default=SUPPRESS, help="of videos: from 0 to 1, less flicker where nothing moves"
    )


COMMAND = Command(
    "stylize", "draw pictures and videos in a style", "binorm stylize photo.jpg --style udnie", _add_arguments, _run
)

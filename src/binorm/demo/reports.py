"""Which reports lie below a folder of runs, and what they hold; nothing outside of the folder is ever opened."""

import html
import os
from pathlib import Path

from binorm.demo.limits import MEBIBYTE
from binorm.experiments.common.errors import UserError, lookup

REPORT_FILES = ("report.html", "report.md")
DEEPEST = 6  # folders below that of all runs
MOST_FOUND = 500
_PLAIN_TEXT = '<meta name="color-scheme" content="light dark"><pre style="white-space: pre-wrap">{}</pre>'
MOST_BYTES = 32 * MEBIBYTE


def find_files(root: Path, *names: str) -> list[Path]:
    """The files of these names below a folder, in order; links are not followed."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(folders) if depth < DEEPEST else []
        paths = [Path(folder, name) for name in names if name in files]
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
        if len(found) >= MOST_FOUND:
            break
    return found[:MOST_FOUND]


def find_reports(root: Path) -> dict[str, Path]:
    """The reports below a folder by what the page calls them, the newest first; HTML where there is a choice."""
    found: dict[str, Path] = {}
    for path in sorted(find_files(root, *REPORT_FILES), key=lambda path: REPORT_FILES.index(path.name)):
        found.setdefault(path.parent.relative_to(root).as_posix(), path)
    return dict(sorted(found.items(), key=lambda entry: -entry[1].lstat().st_mtime))


def read_below(root: Path, path: Path) -> str:
    """The text of a file below a folder.

    Raises:
        UserError: where it is a link, leads out of the folder, is too long or is gone.
    """
    try:
        if not path.resolve(strict=True).is_relative_to(root.resolve()):
            raise UserError("this report is not below the folder of runs")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            if os.fstat(descriptor).st_size > MOST_BYTES:
                raise UserError(f"{path.name} has more than {MOST_BYTES // MEBIBYTE} MB: open it in a browser instead")
            return file.read()
    except OSError as error:
        raise UserError(f"this report cannot be read: {error.strerror}") from error


def report_frame(root: Path, name: str) -> str:
    """A report as an element of the page that can run nothing and reach nothing.

    Args:
        root: the folder of all runs.
        name: one of those that `find_reports` gives; it is looked up there, never used as a path.

    Raises:
        UserError: for any other name, and an unreadable file.
    """
    path = lookup("report", name, find_reports(root))
    content = read_below(root, path)
    if path.suffix == ".md":
        content = _PLAIN_TEXT.format(html.escape(content))
    title = html.escape(f"Report: {name}", quote=True)
    return f'<iframe class="report" title="{title}" sandbox="" srcdoc="{html.escape(content, quote=True)}"></iframe>'

"""Files of a run folder, which others may have written: an error about one says what is wrong and the way out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import all_printable

T = TypeVar("T")


def read_json(path: Path) -> dict[str, Any]:
    """The entries of a file that holds a JSON object, every text in it as it can be shown (`printable`).

    Raises:
        UserError: where it is missing or holds anything else.
    """
    try:
        entries = json.loads(read_text(path))
    except ValueError as error:
        raise damaged(path, f"it is not JSON ({error})") from error
    check(isinstance(entries, dict), path, "it should hold a JSON object")
    return dict(all_printable(entries))


def read_text(path: Path) -> str:
    """The content of a file that a finished run has.

    Raises:
        UserError: where it is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise damaged(path, "it is missing, though the run is recorded as finished") from error
    except UnicodeDecodeError as error:
        raise damaged(path, "it is not UTF-8 text") from error


def field(entries: Mapping[str, Any], key: str, kind: type[T] | tuple[type[T], ...], path: Path) -> T:
    """The entry of a file under ``key``.

    Raises:
        UserError: where it is missing or of another type.
    """
    value = entries.get(key)
    if isinstance(value, kind):
        return value
    names = " or ".join(entry.__name__ for entry in (kind if isinstance(kind, tuple) else (kind,)))
    raise damaged(path, f"{key} is {value!r}, expected {names}")


def check(fine: bool, path: Path, problem: str) -> None:
    """Raise a `UserError` about a file unless what was looked at is fine."""
    if not fine:
        raise damaged(path, problem)


def damaged(path: Path, problem: str) -> UserError:
    """The error about a file of a run."""
    return UserError(
        f"{path} cannot be read: {problem}. Delete {path.parent} and repeat the command that made it; "
        "runs that are finished are kept."
    )

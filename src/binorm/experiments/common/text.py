"""Numbers, lists and names from outside in words."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Control characters, separators of lines, changes of the direction of writing, and halves of characters: what is not
# shown, moves what stands beside it, or cannot be written as UTF-8, such as bytes of a file's name that are no UTF-8.
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, keep: str = "") -> str:
    r"""``text`` with what cannot be shown as backslash escapes: ``"caf\xe9"``, on one line.

    Args:
        text: such as the name of a file or a class.
        keep: characters that stay as they are, such as a line break.
    """
    return _NOT_SHOWN.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def all_printable(value: Any) -> Any:
    """``value``, as JSON and YAML have them, with every text in it, names of entries included, `printable`."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {all_printable(key): all_printable(entry) for key, entry in value.items()}
    return [all_printable(entry) for entry in value] if isinstance(value, list) else value


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def duration(seconds: float) -> str:
    """``"45 s"``, ``"3 min 20 s"``, ``"1 h 12 min"``, ``"3 days 4 h"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, rest_hours = divmod(hours, 24)
    if days:
        return f"{days:,} day{'s' * (days > 1)} {rest_hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(count: int, noun: str) -> str:
    """``"1 epoch"``, ``"2,000 epochs"``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def listed(names: Iterable[object]) -> str:
    """``"a, b and c"``; there is at least one."""
    *most, last = map(str, names)
    return f"{', '.join(most)} and {last}" if most else last


def seeds_text(seeds: set[int]) -> str:
    """``"seed 3"``, ``"seeds 1 and 4"``, ``"seeds 0 to 4"``."""
    low, high = min(seeds), max(seeds)
    if len(seeds) > 2 and len(seeds) == high - low + 1:
        return f"seeds {low} to {high}"
    return f"seed{'s' * (len(seeds) > 1)} {listed(sorted(seeds))}"

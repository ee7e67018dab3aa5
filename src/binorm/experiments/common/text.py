"""Numbers and lists in words."""

from collections.abc import Iterable


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

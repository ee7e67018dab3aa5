"""What the report's pages share: templates in which nothing from outside is trusted, and ways to say things."""

import html
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from binorm.experiments.report.statistics import number, signed


def environment(markdown: bool = False) -> Environment:
    """Templates in which every value is escaped unless it is marked as safe: run files are not trusted."""
    made = Environment(
        loader=PackageLoader("binorm.experiments.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # For Markdown, this runs before the escaping for HTML, which then lets the result through.
        finalize=_escape_markdown if markdown else None,
    )
    made.filters |= {"number": number, "signed": signed, "attribute": _attribute}
    return made


def finite_or_null(value: Any) -> Any:
    """``value`` for JSON: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): finite_or_null(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_or_null(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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


def _escape_markdown(value: object) -> Markup:
    """``value`` as text that GitHub's Markdown shows literally, on one line."""
    if isinstance(value, Markup):
        return value
    text = html.escape(" ".join(str(value).split()), quote=False)
    return Markup(re.sub(r"([\\`*_{}\[\]|#~$])", r"\\\1", text))  # noqa: S704 - escaped in this line


def _attribute(value: object) -> Markup:
    """``value`` inside an HTML tag of a Markdown file, where its characters mean nothing to Markdown."""
    return Markup(html.escape(str(value)))  # noqa: S704 - escaped in this line

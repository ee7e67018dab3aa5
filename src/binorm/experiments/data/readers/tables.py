"""Tables of data sets of one kind, as YAML files beside their reader: facts alone, a few lines each."""

from pathlib import Path
from typing import Any

import yaml

# libyaml's, where PyYAML has it, is ten times as fast: every command that names a data set reads the tables.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_table(file: str) -> dict[str, dict[str, Any]]:
    """The fields of each data set in a file here, by name; every list is a tuple."""
    text = (Path(__file__).parent / file).read_text("utf-8")
    table: dict[str, dict[str, Any]] = _frozen(yaml.load(text, _LOADER))  # noqa: S506 - a safe loader, of our own file
    return {name: {"name": name, **fields} for name, fields in table.items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value

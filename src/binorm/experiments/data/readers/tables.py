"""Tables of data sets of one kind, as YAML files beside their reader: facts alone, a few lines each."""

from pathlib import Path
from typing import Any

import yaml


def read_table(file: str) -> dict[str, dict[str, Any]]:
    """The fields of each data set in a file here, by name; every list is a tuple."""
    table: dict[str, dict[str, Any]] = _frozen(yaml.safe_load((Path(__file__).parent / file).read_text("utf-8")))
    return {name: {"name": name, **fields} for name, fields in table.items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value

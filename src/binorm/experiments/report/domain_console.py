"""A domain report in the terminal: its table within 100 columns, and what it says of norms and methods."""

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from binorm.experiments.report.domain_grid import Grid, GridCell, Head, grid
from binorm.experiments.report.domain_page import CHOSEN, DomainReport, kept_rows

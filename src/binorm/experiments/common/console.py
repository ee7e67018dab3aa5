"""The terminal: what a person sees on standard output and standard error."""

import sys

from rich.console import Console
from rich.markup import escape

from binorm.experiments.common.text import printable

CONSOLE = Console(highlight=False, soft_wrap=True, emoji=False)
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def plain(text: str) -> str:
    r"""Text for rich that holds no markup of its own, and nothing that steers a terminal; line breaks stay.

    Control characters are written as Python writes them (``\x1b``), and so are the bytes of a file's name that are no
    UTF-8 (``\xe9``).
    """
    return escape(printable(text, keep="\n"))


def one_line(text: str) -> str:
    """As `plain`, with line breaks written so too: a file's name may hold them."""
    return escape(printable(text))


def show_any_character() -> None:
    r"""Let standard output and error write what their encoding lacks as ``\u0142``, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")

"""The terminal: what a person sees on standard output and standard error."""

import sys
import unicodedata

from rich.console import Console
from rich.markup import escape

CONSOLE = Console(highlight=False, soft_wrap=True, emoji=False)
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

# Control characters, halves of characters, and breaks of lines and paragraphs; then what turns the direction of text.
_UNSHOWN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def plain(text: str) -> str:
    r"""Text for rich that holds no markup of its own, and nothing that steers a terminal; line breaks stay.

    Control characters are written as Python writes them (``\x1b``), and so are the bytes of a file's name that are no
    UTF-8 (``\xe9``).
    """
    return escape("".join(each if each == "\n" else _shown(each) for each in text))


def one_line(text: str) -> str:
    """As `plain`, with line breaks written so too: a file's name may hold them."""
    return escape("".join(map(_shown, text)))


def show_any_character() -> None:
    r"""Let standard output and error write what their encoding lacks as ``\u0142``, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _shown(character: str) -> str:
    if unicodedata.category(character) in _UNSHOWN_CATEGORIES or unicodedata.bidirectional(character) in _TURNING:
        if "\udc80" <= character <= "\udcff":  # how Python keeps a byte that is no UTF-8
            return f"\\x{ord(character) - 0xDC00:02x}"
        return character.encode("unicode_escape").decode()
    return character

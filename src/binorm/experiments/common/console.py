"""The terminal: what a person sees on standard output and standard error."""

from rich.console import Console

CONSOLE = Console(highlight=False, soft_wrap=True)
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)


def plain(text: str) -> str:
    """Text for rich that holds no markup of its own."""
    return text.replace("[", r"\[")

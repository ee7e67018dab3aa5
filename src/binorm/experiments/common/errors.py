"""Errors that the person at the keyboard can mend; the command line prints them without a traceback."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """Something that came from outside is wrong: the message says what it was, what was expected and the way out."""


class DivergenceError(UserError):
    """The loss is not a number any more."""


def lookup(kind: str, name: str, choices: Mapping[str, T]) -> T:
    """Look ``name`` up among ``choices``, or raise a `UserError` that names the nearest one."""
    if name in choices:
        return choices[name]
    raise UserError(f"unknown {kind} {name!r}{nearest(name, choices)} Known: {', '.join(choices)}")


def nearest(name: str, choices: Mapping[str, object]) -> str:
    """The end of a sentence about an unknown name: ``", did you mean 'resnet20'?"``, or ``"."`` if none is near."""
    matches = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f", did you mean {matches[0]!r}?" if matches else "."


class Interrupted(BaseException):
    """A signal asked the program to stop. Not KeyboardInterrupt, which Lightning turns into an exit of its own."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number

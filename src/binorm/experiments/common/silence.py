"""Pillow and what it is built on, kept from the terminal: their words name no file, and what matters is an error."""

import ctypes
import logging
import re
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

_FILTER = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def silence_pillow() -> None:
    """To be called before each picture is opened, from any thread.

    Filters of warnings belong to the process, and whoever catches warnings meanwhile takes this one along when done, so
    it is put in place again where it is missing.
    """
    if warnings.filters[:1] != [_FILTER]:
        warnings.filterwarnings("ignore", module=r"PIL\.")
    _silence_for_good()


@cache
def _silence_for_good() -> None:
    """What stays as it is set: Pillow's log, and libtiff, which writes to the standard error by itself.

    Pillow raises an error for what libtiff fails at. Where the library is not found, as on systems other than Linux, a
    damaged TIFF costs a line in the terminal.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with suppress(OSError, AttributeError):
        mapped = re.findall(r"/\S*/libtiff[^/\s]*\.so\S*", Path("/proc/self/maps").read_text())
        for library in dict.fromkeys(mapped):
            ctypes.CDLL(library).TIFFSetErrorHandler(None)

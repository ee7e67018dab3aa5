"""Where the published data sets lie that some tests read, if they are there: ``shared/data`` beside the checkout."""

from pathlib import Path

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"

"""The CPU kernels, in C++: one binary with code for AVX-512, AVX2 and any other processor, chosen when it runs.

It is compiled when binorm is installed (setup.py), against PyTorch's stable ABI only.
"""

from pathlib import Path

import torch

DTYPES = frozenset({torch.float32, torch.float64, torch.bfloat16})


def load() -> None:
    """Register the kernels for the CPU.

    Raises:
        ImportError: where they were not built, or cannot be loaded; it says why.
    """
    here = Path(__file__).parent
    library, reason = here / "kernels.so", here / "why_not_built.txt"
    if not library.exists():
        why = reason.read_text(encoding="utf-8").strip() if reason.exists() else "the installation did not build them"
        raise ImportError(why)
    try:
        torch.ops.load_library(library)
    except OSError as error:
        raise ImportError(f"{library} cannot be loaded: {error}") from error

"""The settings that are fastest on this machine."""

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes.base import Recipe

# A first compilation costs about 40 s on two cores and saves half of the time: it pays from some 60 s of training on,
# which is about this many images through a small network.
COMPILE_FROM_IMAGES = 100_000


@dataclass(frozen=True)
class Settings:
    """How a run computes.

    Attributes:
        device: ``cpu`` or ``cuda``.
        precision: ``float32`` or ``bfloat16`` (autocast; parameters stay float32).
        compiled: whether torch.compile is used.
        threads: of PyTorch on the CPU.
        graphs: whether training passes are CUDA graphs.
    """

    device: str
    precision: str
    compiled: bool
    threads: int
    graphs: bool = False

    def autocast(self) -> torch.autocast:
        """The context in which a network computes."""
        return torch.autocast(self.device, torch.bfloat16, self.precision == "bfloat16")

    def __str__(self) -> str:
        how = "compiled" if self.compiled else "CUDA graphs" if self.graphs else "not compiled"
        return f"{self.device}, {self.precision}, channels_last, {how}, {self.threads} threads"


def choose_settings(recipe: Recipe, training_images: int) -> Settings:
    """Pick the fastest settings for this machine wherever the recipe says ``auto``.

    Raises:
        UserError: for CUDA graphs without a GPU.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    graphs = recipe.compile == "graphs"
    if graphs and device != "cuda":
        raise UserError("compile is graphs, and PyTorch finds no GPU here: choose --compile auto")
    precision = recipe.precision
    if precision == "auto":
        precision = "bfloat16" if fast_bfloat16(device) else "float32"
    compiled = recipe.compile == "yes"
    if recipe.compile == "auto" and training_images * recipe.num_epochs >= COMPILE_FROM_IMAGES:
        compiled = _can_compile(device)
    return Settings(device, precision, compiled, torch.get_num_threads(), graphs)


def fast_bfloat16(device: str) -> bool:
    """Whether ``cpu`` or ``cuda`` here computes in bfloat16 by itself, not by way of float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


@functools.cache
def _can_compile(device: str) -> bool:
    """Whether torch.compile works here: compiler, headers and all are found out by compiling something small."""
    try:
        torch.compile(torch.sin)(torch.zeros(8, device=device))
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        warnings.warn(f"training goes on without torch.compile, more slowly: {reason}", stacklevel=3)
        return False
    return True

"""What machine and versions this is, for people who compare figures."""

import importlib.metadata
import math
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, GPU and system, for people who compare timings."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def describe_versions() -> dict[str, str]:
    """Python and the packages that a figure can depend on."""
    packages = ("binorm", "torch", "lightning", "torchmetrics", "numpy", "scikit-learn", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def peak_memory() -> float:
    """The most memory that this process has held so far, in MiB; nan on systems that do not say."""
    try:
        import resource
    except ImportError:
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class EnergyCounter:
    """Energy that the processor packages have taken, as far as this machine counts it and lets us read it.

    Linux counts packages in ``/sys/class/powercap`` (Intel's RAPL; AMD's too), often for root alone, and hardly ever in
    a virtual machine. Whatever else runs on the machine is counted with it. A counter goes round after some 260 kJ: ask
    more often than that.

    Args:
        folder: of the counters.
    """

    def __init__(self, folder: Path = Path("/sys/class/powercap")) -> None:
        self._zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if _is_package(zone)]
        self._last = self._read()
        self._joules = 0.0

    def joules(self) -> float | None:
        """Since this counter was made; None where nothing counts."""
        now = self._read()
        if not now or now.keys() != self._last.keys():
            return None
        for zone, (value, most) in now.items():
            self._joules += ((value - self._last[zone][0]) % most) / 1e6  # a counter starts anew at its end
        self._last = now
        return self._joules

    def _read(self) -> dict[str, tuple[int, int]]:
        """Of each package the count and where it starts anew, in microjoules."""
        try:
            return {
                zone.name: (int((zone / "energy_uj").read_text()), int((zone / "max_energy_range_uj").read_text()) + 1)
                for zone in self._zones
            }
        except (OSError, ValueError):
            return {}


def _is_package(zone: Path) -> bool:
    """Others are parts of a package, or the whole platform with it."""
    try:
        return (zone / "name").read_text().startswith("package")
    except OSError:
        return False


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0

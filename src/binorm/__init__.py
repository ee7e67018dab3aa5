"""Batch-Instance Normalization (Nam & Kim, NeurIPS 2018) for PyTorch."""

from binorm import functional
from binorm.gates import GateSummary, gate_parameters, gate_summary, named_gates, param_groups
from binorm.modules import BatchInstanceNorm1d, BatchInstanceNorm2d, BatchInstanceNorm3d

__version__ = "0.1.0"

__all__ = [
    "BatchInstanceNorm1d",
    "BatchInstanceNorm2d",
    "BatchInstanceNorm3d",
    "GateSummary",
    "functional",
    "gate_parameters",
    "gate_summary",
    "named_gates",
    "param_groups",
]

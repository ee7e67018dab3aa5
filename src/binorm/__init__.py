"""Batch-Instance Normalization (Nam & Kim, NeurIPS 2018) for PyTorch."""

from typing import TYPE_CHECKING, Any

from binorm import functional
from binorm.calibration import CalibratedLayer, CalibrationSummary, calibrate_gates
from binorm.clipping import clip_gates_
from binorm.convert import convert_batch_norm, revert_to_batch_norm
from binorm.fold import fold
from binorm.gate_logging import log_gates
from binorm.gates import GateSummary, GateTable, gate_parameters, gate_summary, named_gates, param_groups
from binorm.loading import load
from binorm.modules import BatchInstanceNorm1d, BatchInstanceNorm2d, BatchInstanceNorm3d
from binorm.norm_act import BatchInstanceNormAct2d
from binorm.norm_layers import freeze_, norm_layers, unfreeze_, update_statistics
from binorm.plots import plot_calibration, plot_gates
from binorm.sync import SyncBatchInstanceNorm, convert_sync_batch_instance_norm
from binorm.timm_registry import register_with_timm

if TYPE_CHECKING:
    from binorm.gate_monitor import GateMonitor as GateMonitor

__version__ = "0.1.0"

__all__ = [
    "BatchInstanceNorm1d",
    "BatchInstanceNorm2d",
    "BatchInstanceNorm3d",
    "BatchInstanceNormAct2d",
    "CalibratedLayer",
    "CalibrationSummary",
    "GateSummary",
    "GateTable",
    "SyncBatchInstanceNorm",
    "calibrate_gates",
    "clip_gates_",
    "convert_batch_norm",
    "convert_sync_batch_instance_norm",
    "fold",
    "freeze_",
    "functional",
    "gate_parameters",
    "gate_summary",
    "load",
    "log_gates",
    "named_gates",
    "norm_layers",
    "param_groups",
    "plot_calibration",
    "plot_gates",
    "register_with_timm",
    "revert_to_batch_norm",
    "unfreeze_",
    "update_statistics",
]


def __getattr__(name: str) -> Any:
    """`GateMonitor`, which is a class of Lightning's: that is imported for those who name it, not for all."""
    if name != "GateMonitor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from binorm.gate_monitor import GateMonitor

    return GateMonitor

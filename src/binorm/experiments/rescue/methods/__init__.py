"""Methods that set a trained network right for other pictures, by name.

A new method is one file with a `Method`, and one line here.
"""

from binorm.experiments.rescue.methods.affine import AFFINE
from binorm.experiments.rescue.methods.alpha_bn import ALPHA_BN
from binorm.experiments.rescue.methods.batch_statistics import BATCH_STATISTICS, BATCH_STATISTICS_PRIOR
from binorm.experiments.rescue.methods.calibrated import CALIBRATED, CALIBRATED_FIRST
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method
from binorm.experiments.rescue.methods.none import NONE
from binorm.experiments.rescue.methods.sar import SAR
from binorm.experiments.rescue.methods.tent import TENT
from binorm.experiments.rescue.methods.ttn import TTN
from binorm.experiments.rescue.methods.tuned import TUNED

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        NONE,
        BATCH_STATISTICS,
        BATCH_STATISTICS_PRIOR,
        ALPHA_BN,
        TENT,
        SAR,
        TTN,
        AFFINE,
        CALIBRATED,
        CALIBRATED_FIRST,
        TUNED,
    )
}

__all__ = ["METHODS", "Adapted", "Calibration", "Method"]

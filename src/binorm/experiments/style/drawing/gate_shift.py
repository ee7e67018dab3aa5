"""Moving the gates of a trained style nearer to instance norm or to batch norm."""

import copy

import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.network import StyleNetwork


def shift_gates(network: StyleNetwork, shift: float) -> StyleNetwork:
    r"""A copy whose gates lie nearer to instance norm or to batch norm.

    .. math:: \rho' = \rho \, (1 + s) \text{ for } s < 0, \quad \rho' = \rho + (1 - \rho) \, s \text{ for } s \ge 0

    Args:
        network: left as it is.
        shift: s, from -1 (every gate 0: instance norm) over 0 (as trained) to 1 (every gate 1: batch norm).

    Raises:
        UserError: for a shift outside [-1, 1], and for any but 0 where the network's norm has no gates.
    """
    if not -1.0 <= shift <= 1.0:
        raise UserError(f"the gates' shift should lie between -1 (all IN) and 1 (all BN) (got {shift})")
    shifted = copy.deepcopy(network)
    if shift == 0.0:
        return shifted
    gates = [value.data for name, value in shifted.named_parameters() if name.endswith(".gate")]
    if not gates:
        raise UserError(
            f"a style network with the norm {network.norm_name!r} has no gates to shift (got {shift}): take 0, or a "
            "style trained with 'bin'"
        )
    for gate in gates:
        gate.clamp_(0.0, 1.0)
        torch.lerp(gate, torch.full_like(gate, float(shift > 0)), abs(shift), out=gate)
    return shifted

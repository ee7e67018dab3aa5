"""How many operations a network takes for a picture."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

TRAINING = 3  # times a forward pass: the backward pass takes about two, for the inputs' gradients and the weights'


def operations(network: nn.Module, size: tuple[int, int]) -> int:
    """Floating-point operations of a forward pass of one picture, (3, height, width).

    Those of convolutions and linear layers, a multiplication and an addition counted as two; norms, activations and
    pooling, whose time is that of moving memory, are not counted. Modes, statistics and random numbers to come stay.
    """
    modes = {module: module.training for module in network.modules()}
    like = next(network.parameters())
    picture = torch.zeros(1, 3, *size, device=like.device, dtype=like.dtype)
    counter = FlopCounterMode(display=False)
    try:
        network.eval()
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), counter:
            network(picture)
    finally:
        for module, training in modes.items():
            module.training = training
    return int(counter.get_total_flops())

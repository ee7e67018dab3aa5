"""How the networks' weights start."""

from torch import nn


def initialize_convolutions(network: nn.Module) -> None:
    """Draw the weights of every 2d convolution from N(0, 2 / fan_out), and set its bias to 0.

    They are drawn in the order of ``network.modules()``. No norm draws anything, so one seed gives every norm the same
    weights.

    Source: He et al., *Delving Deep into Rectifiers*, ICCV 2015, section 2.2 (backward propagation case).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)

"""IBN-a: the first norm of every block in the first three stages becomes half instance norm, half batch norm."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.models.rival_norms import InstanceBatchNorm2d

# Our networks say stage1.0.norm1, torchvision's and timm's ResNets layer1.0.bn1.
FIRST_NORM = re.compile(r"(?:stage|layer)[123]\.\d+\.(?:norm|bn)1")


def insert_ibn_a(network: nn.Module, name: str, *, pretrained: bool = False) -> None:
    """Replace in place the norms that IBN-Net (Pan et al., ECCV 2018, section 3.2) replaces.

    If the network is ``pretrained``, each half takes over the weight and bias of its channels, and the batch norm half
    their running statistics. Otherwise they start as norms do.

    Raises:
        UserError: if ``network``, called ``name``, has no such blocks.
    """
    from binorm.experiments.models.norms import InstanceBatchNormAct2d

    places = [place for place, _ in network.named_modules() if FIRST_NORM.fullmatch(place)]
    if not places:
        raise UserError(
            f"ibn-a is defined for networks of residual blocks in stages, and {name} has none: choose another norm"
        )
    for place in places:
        norm = network.get_submodule(place)
        activated = bool(getattr(norm, "apply_act", False))  # a zoo's batch norm leaves its ReLU to the block
        replacement = InstanceBatchNormAct2d(int(norm.num_features), apply_act=activated)  # type: ignore[arg-type]
        if pretrained:
            _take_over(replacement, norm.state_dict())
        network.set_submodule(place, replacement)


def _take_over(norm: InstanceBatchNorm2d, batch_norm: Mapping[str, Tensor]) -> None:
    split = norm.instance_channels
    norm.instance.load_state_dict({key: batch_norm[key][:split] for key in ("weight", "bias")})
    norm.batch.load_state_dict({key: each[split:] if each.dim() else each for key, each in batch_norm.items()})

"""Tent: norms learn from each test batch to be surer of what they say."""

import torch
from torch import Tensor, nn

from binorm.experiments.rescue.methods.batch_statistics import PriorShare
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method
from binorm.experiments.rescue.methods.online import Online, entropy
from binorm.experiments.rescue.methods.statistics import affine_parameters, mix_statistics

LR, LR_BATCH = 1e-3, 128


class Tent(Online):
    r"""Statistics of the batch alone, and one step on the norms' weights and biases for each batch.

    The step goes down

    .. math:: \frac{1}{n} \sum_i H(\hat{y}_i), \quad H(\hat{y}) = -\sum_c \hat{y}_c \log \hat{y}_c

    by Adam. What is said of a batch is computed before its step. The paper takes batches of 128 with Adam at 0.001
    (CIFAR), and of 64 with SGD at 0.00025 (ImageNet), where it fits the rate to the batch; here Adam's rate is lr for
    batches of 128 and more, and for smaller ones goes down in proportion, so that the same pictures in smaller batches
    move the norms by about as much. At batch 1 the statistics are those of each picture alone, which is instance norm:
    expect far lower accuracy than the network's own, before anything is learned.

    Args:
        network: with batch norms or batch-instance norms; not changed.
        lr: Adam's rate for batches of 128.

    Raises:
        UserError: for a network without such norms, or whose norms have no weights and biases.
    """

    def __init__(self, network: nn.Module, lr: float = LR) -> None:
        mixed = mix_statistics(network, PriorShare(0.0))
        self.lr = lr
        super().__init__(mixed, affine_parameters(mixed))

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Adam with the paper's β, without decay."""
        return torch.optim.Adam(self.parameters, lr=self.lr, betas=(0.9, 0.999), weight_decay=0.0)

    def learn(self, batch: Tensor, logits: Tensor) -> None:
        """One step down the mean entropy."""
        self.step(self.gradients(entropy(logits).mean()), self.lr * min(1.0, len(batch) / LR_BATCH))


def tent(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """`Tent` with its usual settings."""
    return Tent(network)


TENT = Method(
    name="tent",
    title="Tent",
    source="Wang et al., *Tent: Fully Test-Time Adaptation by Entropy Minimization*, ICLR 2021",
    summary="Statistics of the test batch, and for each batch a step on the norms' weights and biases that lowers the "
    "entropy of what the network says. Needs large batches of mixed classes: at batch 1 it fails as batch statistics "
    "do.",
    batch=True,
    calibrates=False,
    prepare=tent,
)

"""SAR: entropy lowered on reliable pictures alone, towards flat minima, with a way back from collapse."""

import math

import torch
from torch import Tensor, nn

from binorm.experiments.rescue.methods.batch_statistics import PriorShare
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method
from binorm.experiments.rescue.methods.online import Online, entropy
from binorm.experiments.rescue.methods.statistics import affine_parameters, mix_statistics

LR, LR_BATCH = 0.00025, 16
RADIUS = 0.05
MARGIN = 0.4  # of the highest entropy
RECOVER_BELOW = 0.2
MEMORY = 0.9
LEARNING_NORMS = 0.75


class Sar(Online):
    r"""Statistics of the batch alone, and one sharpness-aware step on norms' weights and biases for each batch.

    With S the pictures whose entropy is below :math:`E_0 = 0.4 \ln C`, each batch goes down

    .. math:: \frac{1}{|S'|} \sum_{i \in S'} H(\hat{y}_i(\theta + \epsilon)), \quad
              \epsilon = 0.05 \, g / \|g\|, \; g = \nabla_\theta \frac{1}{|S|} \sum_{i \in S} H(\hat{y}_i(\theta))

    where S' are those of S that are still below E_0 at θ + ε; without any, nothing is learned. When the moving mean of
    that loss (0.9 of it kept) falls below 0.2, all is forgotten: a network that is so sure has collapsed. SGD with
    momentum 0.9 at 0.00025 for batches of 16 and more, and in proportion below, which is the paper's 0.00025 / 16 at
    batch 1 (for ResNets). What is said of a batch is computed before its step. The paper leaves the norms of the last
    stage alone; here the last quarter of the norms, in the order in which the network holds them.

    Args:
        network: with batch norms or batch-instance norms; not changed.
        lr: SGD's rate for batches of 16 and more.

    Raises:
        UserError: for a network without such norms, or whose norms have no weights and biases.
    """

    def __init__(self, network: nn.Module, lr: float = LR) -> None:
        mixed = mix_statistics(network, PriorShare(0.0))
        self.lr = lr
        self.moving_mean: float | None = None
        super().__init__(mixed, affine_parameters(mixed, LEARNING_NORMS))

    def make_optimizer(self) -> torch.optim.Optimizer:
        """SGD with momentum 0.9."""
        return torch.optim.SGD(self.parameters, lr=self.lr, momentum=0.9)

    def learn(self, batch: Tensor, logits: Tensor) -> None:
        """Step, if there are reliable pictures, and recover, if the network has become too sure."""
        margin = MARGIN * math.log(logits.shape[1])
        first = entropy(logits)
        reliable = first < margin
        if not reliable.any():
            return
        here = [each.detach().clone() for each in self.parameters]
        self.write(self._uphill(here, self.gradients(first[reliable].mean())))
        second = entropy(self.network(batch))[reliable]
        second = second[second < margin]
        gradients = self.gradients(second.mean()) if len(second) else None
        self.write(here)
        if gradients is None:
            return
        self.step(gradients, self.lr * min(1.0, len(batch) / LR_BATCH))
        loss = second.mean().item()
        self.moving_mean = loss if self.moving_mean is None else MEMORY * self.moving_mean + (1 - MEMORY) * loss
        if self.moving_mean < RECOVER_BELOW:
            self.reset()

    def _uphill(self, here: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """The parameters at the radius' end, where the loss rises most."""
        length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in gradients]))
        scale = RADIUS / (length + 1e-12)
        return [value + scale * gradient for value, gradient in zip(here, gradients, strict=True)]

    def reset(self) -> None:
        """Forget all batches: parameters, optimizer and moving mean are as at first, to the bit."""
        super().reset()
        self.moving_mean = None


def sar(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """`Sar` with its usual settings."""
    return Sar(network)


SAR = Method(
    name="sar",
    title="SAR",
    source="Niu et al., *Towards Stable Test-Time Adaptation in Dynamic Wild World*, ICLR 2023",
    summary="Tent on pictures of low entropy alone, by sharpness-aware steps, starting anew when the network becomes "
    "too sure. Its statistics are the test batch's: at batch 1 it fails as batch statistics do.",
    batch=True,
    calibrates=False,
    prepare=sar,
)

"""What methods share that learn from each test batch: parameters with a start to come back to, and the entropy."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from binorm.experiments.rescue.methods.method import Adapted


class Online(Adapted):
    """A network that learns some of its parameters from each batch that it is called with.

    Args:
        network: the method's own copy, in evaluation mode.
        parameters: those that learn.
    """

    def __init__(self, network: nn.Module, parameters: list[nn.Parameter]) -> None:
        super().__init__(network)
        self.parameters = parameters
        self._start = [each.detach().clone() for each in parameters]
        self._optimizer = self.make_optimizer()

    @abstractmethod
    def make_optimizer(self) -> torch.optim.Optimizer:
        """One without memory, for `parameters`."""

    def __call__(self, batch: Tensor) -> Tensor:
        """Logits, (N, classes), by what was learned of batches before; then learn of this one."""
        with torch.inference_mode(False), torch.enable_grad():
            logits: Tensor = self.network(batch)
            self.learn(batch, logits)
            return logits.detach()

    @abstractmethod
    def learn(self, batch: Tensor, logits: Tensor) -> None:
        """Take one step by a batch, (N, 3, H, W), and its logits, (N, classes), which hang in a graph."""

    def reset(self) -> None:
        """Forget all batches: parameters and optimizer are as at first, to the bit."""
        self.write(self._start)
        self._optimizer = self.make_optimizer()

    @torch.no_grad()
    def write(self, values: list[Tensor]) -> None:
        """Set the parameters."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Of a scalar, by each parameter; 0 where it does not depend on one."""
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        return list(found)

    def step(self, gradients: list[Tensor], lr: float) -> None:
        """One step of the optimizer, unless a gradient is not finite: one broken picture should not spoil the rest."""
        if not all(bool(torch.isfinite(each).all()) for each in gradients):
            return
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self._optimizer.step()
        self._optimizer.zero_grad()


def entropy(logits: Tensor) -> Tensor:
    """Of each sample's predicted distribution, in nats: (N, classes) -> (N,)."""
    log_probabilities = logits.log_softmax(dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1)

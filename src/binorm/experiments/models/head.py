"""The head of a network, and its input: the features."""

from typing import Any

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError


def find_head(network: nn.Module, num_classes: int) -> str:
    """The dotted name of the module that turns features into ``num_classes`` logits.

    In order: what timm's ``get_classifier()`` gives; a child called ``head`` (our networks'), if a linear
    layer in it has that many outputs; the last linear layer of all that has.

    Raises:
        UserError: if there is none.
    """
    names: dict[nn.Module, str] = {module: name for name, module in network.named_modules()}
    if callable(classifier := getattr(network, "get_classifier", None)):
        module = classifier()
        if isinstance(module, nn.Linear | nn.Conv2d) and module in names:
            return names[module]
    head = getattr(network, "head", None)
    if isinstance(head, nn.Module) and last_linear(head, num_classes) is not None:
        return "head"
    name = last_linear(network, num_classes)
    if name is None:
        raise UserError(
            f"{type(network).__name__} has no head for {num_classes} classes: looked for get_classifier() as timm's "
            f"networks have it, a module called head, and a linear layer with {num_classes} outputs"
        )
    return name


def last_linear(module: nn.Module, num_outputs: int) -> str | None:
    """The name below ``module`` of its last linear layer with that many outputs, if any; "" for ``module`` itself."""
    modules: dict[str, nn.Module] = dict(module.named_modules())
    for name, each in reversed(modules.items()):
        if isinstance(each, nn.Linear) and each.out_features == num_outputs:
            return name
    return None


class FeatureTap:
    """Calls a network and gives, besides its logits, the features: what its head sees, flattened to (N, D).

    A hook on the head, which `find_head` finds or raises, notes them, only in calls through the tap. The network's
    modules, names and state dict stay as they are, and it can be compiled in place afterwards (``network.compile()``).

    Example:
        >>> tap = FeatureTap(create("resnet20", 10), num_classes=10)
        >>> features, logits = tap(torch.randn(2, 3, 32, 32))
        >>> features.shape, logits.shape
        (torch.Size([2, 64]), torch.Size([2, 10]))
    """

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        self.network = network
        self.head = find_head(network, num_classes)
        self._listening = False
        self._features: Tensor | None = None
        network.get_submodule(self.head).register_forward_pre_hook(self._note)

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) pictures -> (N, D) features and (N, num_classes) logits, both in the graph."""
        self._listening = True
        try:
            logits: Tensor = self.network(pictures)
            features = self._features
        finally:
            self._listening, self._features = False, None
        if features is None:
            raise RuntimeError(f"the network did not call its head, {self.head}: is its forward replaced?")
        return features, logits

    def num_features(self, size: int) -> int:
        """D for pictures of ``size`` x ``size`` pixels.

        Found by a pass of one black picture in evaluation, uncompiled. The network, its modes and running statistics
        and the random numbers to come stay as they are.
        """
        modes = {module: module.training for module in self.network.modules()}
        like = next(self.network.parameters())
        devices = [like.device] if like.device.type == "cuda" else []
        try:
            self.network.eval()
            with torch.no_grad(), torch.random.fork_rng(devices), torch.compiler.set_stance("force_eager"):
                features, _ = self(torch.zeros(1, 3, size, size, device=like.device, dtype=like.dtype))
        finally:
            for module, training in modes.items():
                module.training = training
        return features.shape[1]

    def _note(self, _head: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self._listening:
            self._features = inputs[0].flatten(1)

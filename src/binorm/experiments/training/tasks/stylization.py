"""Stylization: content, style and variation of what a style network makes of photographs."""

from collections.abc import Mapping

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from binorm import param_groups
from binorm.experiments.common.errors import DivergenceError, UserError
from binorm.experiments.recipes.stylization import StyleRecipe
from binorm.experiments.style.training.losses import Losses, PerceptualLoss
from binorm.experiments.style.training.photographs import PhotographBatches


class Stylization(LightningModule):
    """Trains ``network``, (N, 3, H, W) -> the same, by Adam at a constant rate, on batches of photographs.

    ``means`` holds the mean of every loss over the period under way, unweighted: ``content``, ``style``, ``variation``,
    ``total`` (weighted) and ``style_<layer>``.
    """

    def __init__(
        self, network: nn.Module, loss: PerceptualLoss, recipe: StyleRecipe, batches: PhotographBatches
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.recipe = recipe
        self.batches = batches
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam in the two groups of `binorm.param_groups`."""
        return torch.optim.Adam(param_groups(self.network, self.recipe.lr, self.recipe.gate_lr_scale))

    def on_train_epoch_start(self) -> None:
        """Begin a period."""
        self.batches.set_period(self.current_epoch)
        self._sums, self._steps = {}, 0

    def training_step(self, photographs: Tensor, batch_idx: int) -> Tensor:
        """The weighted sum of the losses of one batch, (N, 3, H, W)."""
        losses = self.loss(self.network(photographs), photographs)
        style = losses.total_style()
        recipe = self.recipe
        total = recipe.content_weight * losses.content + recipe.style_weight * style
        total = total + recipe.variation_weight * losses.variation
        self._keep(losses, style, total)
        if (self.device.type == "cpu" or batch_idx % 50 == 0) and not torch.isfinite(total):
            raise DivergenceError(
                f"the loss became {total.item()} in step {self.global_step + 1}, with lr {recipe.lr}: try a lower --lr"
            )
        return total

    def means(self) -> Mapping[str, float]:
        """Of the period so far."""
        if not self._steps:
            raise UserError("no step was made yet")
        return {name: (value / self._steps).item() for name, value in self._sums.items()}

    def so_far(self) -> str:
        """How the period under way goes."""
        means = self.means()
        return f"content {means['content']:.3f}  style {means['style']:.3f}"

    def _keep(self, losses: Losses, style: Tensor, total: Tensor) -> None:
        now = {"content": losses.content, "style": style, "variation": losses.variation, "total": total}
        now |= {f"style_{name}": value for name, value in losses.style.items()}
        for name, value in now.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=value.device)) + value.detach().float()
        self._steps += 1

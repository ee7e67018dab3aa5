"""Classification: cross-entropy and top-1 accuracy on labelled pictures."""

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from binorm import param_groups
from binorm.experiments.common.errors import DivergenceError
from binorm.experiments.data.batches.batches import AnyTrainingBatches
from binorm.experiments.data.batches.domain_batches import DomainBatches
from binorm.experiments.data.batches.seeds import epoch_seed
from binorm.experiments.models.head import find_head
from binorm.experiments.recipes.base import Recipe


class Classification(LightningModule):
    """Trains ``network``, (N, 3, H, W) -> (N, num_classes), by the recipe's SGD and schedule.

    Logs for each epoch ``train_loss`` and ``train_accuracy``, and ``<set>_loss`` and ``<set>_accuracy`` for each
    evaluation set; accuracies are top-1 in percent.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        num_classes: int,
        evaluation: tuple[str, ...],
        training_batches: AnyTrainingBatches | DomainBatches,
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.num_classes = num_classes
        self.training_batches = training_batches
        self.seed = seed
        self.evaluation = evaluation
        names = ("train", *evaluation)
        self.losses = nn.ModuleList(MeanMetric() for _ in names)
        self.accuracies = nn.ModuleList(
            MulticlassAccuracy(num_classes, average="micro", validate_args=False) for _ in names
        )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """SGD in the two groups of `binorm.param_groups`, scheduled by the step."""
        recipe = self.recipe
        optimizer = torch.optim.SGD(self.parameter_groups(), lr=recipe.lr, momentum=recipe.momentum)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: recipe.lr_factor(step / len(self.training_batches))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The network's parameters as the optimizer treats them: weights, gates and, at a rate of its own, the head."""
        recipe = self.recipe
        groups = param_groups(self.network, recipe.lr, recipe.gate_lr_scale, recipe.weight_decay)
        if recipe.head_lr_scale != 1:
            head = list(self.network.get_submodule(find_head(self.network, self.num_classes)).parameters())
            ids = {id(parameter) for parameter in head}
            for group in groups:
                group["params"] = [parameter for parameter in group["params"] if id(parameter) not in ids]
            rate = recipe.lr * recipe.head_lr_scale
            groups.append({"name": "head", "params": head, "lr": rate, "weight_decay": recipe.weight_decay})
        return groups

    def on_train_epoch_start(self) -> None:
        """Make what is drawn at random depend on the epoch alone, so that a resumed run draws the same."""
        torch.manual_seed(epoch_seed(self.seed, self.current_epoch))
        self.training_batches.set_epoch(self.current_epoch)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of one batch."""
        pictures, labels = batch
        logits = self.network(pictures)
        loss = functional.cross_entropy(logits, labels)
        self._check_finite(loss, batch_idx)
        self._log("train", 0, loss, logits, labels)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, int], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Loss and accuracy of the real pictures of one evaluation batch."""
        pictures, labels, count = batch
        logits = self.network(pictures)[:count]
        labels = labels[:count]
        loss = functional.cross_entropy(logits, labels)
        self._log(self.evaluation[dataloader_idx], dataloader_idx + 1, loss, logits, labels)

    def so_far(self) -> str:
        """How the epoch under way goes: top-1 accuracy on its training pictures."""
        return f"train {100 * cast(MulticlassAccuracy, self.accuracies[0]).compute().item():.1f} %"

    def _log(self, name: str, index: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        mean_loss, accuracy = cast(MeanMetric, self.losses[index]), cast(MulticlassAccuracy, self.accuracies[index])
        mean_loss.update(loss.detach(), weight=len(labels))
        accuracy.update(logits.detach(), labels)
        logged: dict[str, Any] = {"on_step": False, "on_epoch": True, "add_dataloader_idx": False}
        self.log(f"{name}_loss", mean_loss, **logged)
        self.log(f"{name}_accuracy", accuracy, **logged)

    def _check_finite(self, loss: Tensor, step: int) -> None:
        """Stop at the first loss that is no number. On a GPU every look waits for it, so look rarely."""
        if (self.device.type == "cpu" or step % 50 == 0) and not torch.isfinite(loss):
            raise DivergenceError(
                f"the loss became {loss.item()} in epoch {self.current_epoch + 1}, step {step + 1}, "
                f"with lr {self.recipe.lr}: try a lower --lr"
            )

"""Classification with pictures of several domains: a method's loss, and how the batch statistics are formed."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from binorm.experiments.data.batches.domain_batches import DomainBatch, DomainBatches
from binorm.experiments.models.domain_statistics import DomainStatistics
from binorm.experiments.models.head import FeatureTap
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.training.methods import ERM, METHODS, DomainOutputs
from binorm.experiments.training.tasks.classification import Classification


class DomainClassification(Classification):
    """Trains ``network`` on several domains by the recipe's method.

    The recipe's ``statistics`` say what a norm's batch is in training: ``joint``, the pictures of all domains;
    ``separate``, those of one domain, each in a forward pass of its own, all of which move the same running statistics;
    ``per-domain``, as separate, with running statistics for each domain, so that a domain is evaluated with its own
    (domain-specific batch normalization, Chang et al., CVPR 2019, without its separate weights and biases).

    Logs what `Classification` does; ``train_loss`` is the method's whole loss. Keeps a confusion matrix of each
    evaluation set, rows true, columns predicted classes.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        num_classes: int,
        evaluation: tuple[str, ...],
        training_batches: DomainBatches,
        seed: int,
    ) -> None:
        super().__init__(network, recipe, num_classes, evaluation, training_batches, seed)
        dataset = training_batches.dataset
        self.domains = (*dataset.domains, *([dataset.target.domain] if dataset.target else []))
        self.tap = FeatureTap(network, num_classes)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # whatever the norm drew
            size = training_batches.train.size[0]
            self.method = METHODS[recipe.method or ERM](
                network, self.tap.num_features(size), num_classes, len(self.domains)
            )
        self.statistics = DomainStatistics(network, self.domains) if recipe.statistics == "per-domain" else None
        self.confusions = torch.zeros(len(evaluation), num_classes, num_classes, dtype=torch.int64)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Those of the network, and the method's, which learn as fast as the classifier."""
        recipe, groups = self.recipe, super().parameter_groups()
        if added := list(self.method.parameters()):
            rate = recipe.lr * recipe.head_lr_scale
            groups.append({"name": "method", "params": added, "lr": rate, "weight_decay": recipe.weight_decay})
        return groups

    def training_step(self, batch: list[DomainBatch], batch_idx: int) -> Tensor:  # type: ignore[override]
        """The method's loss of one batch of each domain."""
        self.method.before_step()
        outputs = self.outputs(batch)
        progress = self.global_step / (self.recipe.epochs * len(self.training_batches))
        loss = self.method.loss(outputs, progress, self.recipe.adaptation_weight)
        self._check_finite(loss, batch_idx)
        labelled = [(each.logits, each.labels) for each in outputs if each.labels is not None]
        self._log(
            "train", 0, loss, torch.cat([each for each, _ in labelled]), torch.cat([each for _, each in labelled])
        )
        return loss

    def outputs(self, batch: Sequence[DomainBatch]) -> list[DomainOutputs]:
        """Features and logits of each domain, in one forward pass or one for each, as the recipe's statistics say."""
        if self.recipe.statistics == "joint":
            features, logits = self.tap(torch.cat([each.pictures for each in batch]))
            sizes = [len(each.pictures) for each in batch]
            parts = list(zip(torch.split(features, sizes), torch.split(logits, sizes), strict=True))
        else:
            parts = []
            for each in batch:
                with self.statistics_of(each.domain):
                    parts.append(self.tap(each.pictures))
        return [DomainOutputs(*part, each.labels) for part, each in zip(parts, batch, strict=True)]

    def statistics_of(self, domain: str) -> AbstractContextManager[None]:
        """The running statistics of one domain, where there are such; the last domain's stand in for an unknown one's.

        An unknown one is a target that the method does not train on: its pictures are then seen with the statistics of
        the source.
        """
        if self.statistics is None:
            return nullcontext()
        return self.statistics.of(domain if domain in self.domains else self.domains[-1])

    def domains_with_statistics(self) -> tuple[str, ...]:
        """The domains that have running statistics of their own; none where all share theirs."""
        return self.domains if self.statistics is not None else ()

    def store_statistics(self, domain: str) -> None:
        """Leave the running statistics of one domain in the network, as what it is deployed with."""
        if self.statistics is not None:
            self.statistics.store(domain)

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's confusions."""
        self.confusions.zero_()

    def validation_step(self, batch: tuple[Tensor, Tensor, int], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Loss, accuracy and confusions of the real pictures of one evaluation batch, with its domain's statistics."""
        with self.statistics_of(self.evaluation[dataloader_idx]):
            super().validation_step(batch, batch_idx, dataloader_idx)

    def _log(self, name: str, index: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        super()._log(name, index, loss, logits, labels)
        if index > 0:
            places = (labels * self.num_classes + logits.argmax(1)).cpu()
            counts = torch.bincount(places, minlength=self.num_classes**2)
            self.confusions[index - 1] += counts.view(self.num_classes, self.num_classes)

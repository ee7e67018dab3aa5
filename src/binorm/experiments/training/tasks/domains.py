"""Classification with images of several domains: a method's loss, and how the batch statistics are formed."""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from binorm.experiments import data
from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.run_files import weights_of
from binorm.experiments.data.batches.domain_batches import DomainBatch, DomainBatches
from binorm.experiments.models.domain_statistics import DomainStatistics
from binorm.experiments.models.head import FeatureTap
from binorm.experiments.recipes.domains import BASELINES, EACH, OWN_DOMAINS, OWN_RECIPES, DomainRecipe
from binorm.experiments.runs.checkpoint import save_weights
from binorm.experiments.training.features import write_features
from binorm.experiments.training.methods import ERM, METHODS, DomainOutputs
from binorm.experiments.training.settings import Settings
from binorm.experiments.training.task import Training
from binorm.experiments.training.tasks.classification import Classification, ClassifierTask, ClassifierTraining


class DomainClassification(Classification):
    """Trains ``network`` on several domains by the recipe's method.

    The recipe's ``statistics`` say what a norm's batch is in training: ``joint``, the pictures of all domains;
    ``separate``, those of one domain, each in a forward pass of its own, all of which move the same running statistics;
    ``per-domain``, as separate, with running statistics for each domain, so that a domain is evaluated with its own
    (domain-specific batch normalization, Chang et al., CVPR 2019, without its separate weights and biases).

    Logs what `Classification` does; ``train_loss`` is the method's whole loss. Keeps a confusion matrix of each
    evaluation set, rows true, columns predicted classes.
    """

    recipe: DomainRecipe

    def __init__(
        self,
        network: nn.Module,
        recipe: DomainRecipe,
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
        self.method.label_smoothing = recipe.label_smoothing
        self.statistics = DomainStatistics(network, self.domains) if recipe.statistics == "per-domain" else None
        self.confusion_matrices = nn.ModuleList(
            MulticlassConfusionMatrix(num_classes, validate_args=False) for _ in evaluation
        )

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
        self.check_loss(loss, batch_idx)
        labelled = [(each.logits, each.labels) for each in outputs if each.labels is not None]
        self.add_batch(0, loss, torch.cat([each for each, _ in labelled]), torch.cat([each for _, each in labelled]))
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
        for matrix in self.confusion_matrices:
            cast(MulticlassConfusionMatrix, matrix).reset()

    def validation_step(self, batch: tuple[Tensor, Tensor, int], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Loss, accuracy and confusions of the real pictures of one evaluation batch, with its domain's statistics."""
        with self.statistics_of(self.evaluation[dataloader_idx]):
            super().validation_step(batch, batch_idx, dataloader_idx)

    def add_batch(self, index: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """See `Classification.add_batch`; evaluation sets have their confusions counted as well."""
        super().add_batch(index, loss, logits, labels)
        if index > 0:
            cast(MulticlassConfusionMatrix, self.confusion_matrices[index - 1]).update(logits.detach(), labels)

    def confusions(self) -> list[list[list[int]]]:
        """See `Objective.confusions`."""
        return [cast(MulticlassConfusionMatrix, matrix).compute().tolist() for matrix in self.confusion_matrices]


class DomainTraining(ClassifierTraining):
    """A run on several domains."""

    recipe: DomainRecipe
    objective: DomainClassification

    def training_batches(self, seed: int, device: torch.device) -> DomainBatches:
        """So many images of each domain a step."""
        return DomainBatches(self.dataset, self.recipe, seed, device)

    def data_facts(self) -> dict[str, Any]:
        """Those of `ClassifierTraining`, with the domains and how their statistics are formed."""
        trained = {"train": list(self.dataset.domains), "target": self.recipe.target or None}
        return {**super().data_facts(), "domains": {**trained, "statistics": self.recipe.statistics}}

    def save(self, folder: Path, command: str) -> None:
        """Write the weights, with the statistics of each domain where it has its own, and samples of features."""
        objective = self.objective
        write_features(folder, objective.tap, objective.statistics_of, self.recipe, self.dataset, self.settings)
        for domain in objective.domains_with_statistics():
            objective.store_statistics(domain)  # the last one's, the target's in adaptation, stay in the network
            save_weights(weights_of(folder, domain), self.network, self.trained)
        super().save(folder, command)


class DomainTask(ClassifierTask[DomainRecipe]):
    """Training on several domains. A recipe that leaves open which it means stands for every choice of them."""

    objective: ClassVar[type[Classification]] = DomainClassification

    def check(self, recipe: DomainRecipe) -> None:
        """Raise a `UserError` for an unknown method or network, and a data set without domains."""
        super().check(recipe)
        if recipe.method:
            lookup("method", recipe.method, METHODS)
        if not data.DATASETS[recipe.dataset].has_domains:
            names = ", ".join(name for name, entry in data.DATASETS.items() if entry.has_domains)
            raise UserError(
                f"{recipe.dataset} has no domains, which the task {recipe.task} needs. With domains: {names}"
            )

    def expand(self, recipe: DomainRecipe, methods: Sequence[str] | None = None) -> list[DomainRecipe]:
        """The recipes that a recipe stands for: with every domain named, and each method.

        Adaptation without a source and a target stands for every ordered pair of domains, generalization without a
        target for leaving out each domain in turn; with a method that is not the baseline, the baseline stands beside
        it. Mixed training stands for itself, or with ``source`` each for training on each single domain.

        Args:
            recipe: any.
            methods: the methods; None for the recipe's and its baseline.

        Raises:
            UserError: for unknown methods and domains.
        """
        self.check(recipe)
        for method in methods or ():
            lookup("method", method, METHODS)
        names = data.domain_names(recipe.dataset, self.loader.path)
        if recipe.task == "mixed" and recipe.source == EACH:
            return [dataclasses.replace(recipe, source=name) for name in names]
        for name in (*recipe.sources, *([recipe.target] if recipe.target else [])):
            self._check_domain(recipe, name, names)
        if recipe.task == "mixed":
            return super().expand(recipe, methods)
        baseline = BASELINES[recipe.task]
        chosen = methods or list(dict.fromkeys((baseline, recipe.method or baseline)))
        return [
            dataclasses.replace(recipe, source=source, target=target, method=method)
            for source, target in _domain_pairs(recipe, names)
            for method in chosen
        ]

    def _check_domain(self, recipe: DomainRecipe, name: str, names: Sequence[str]) -> None:
        """Raise a `UserError` for a domain that the data set does not have; a forgotten --dataset is hinted at."""
        try:
            lookup(f"domain of {recipe.dataset}:", name, dict.fromkeys(names))
        except UserError as error:
            if recipe.dataset == OWN_DOMAINS:
                raise
            raise UserError(
                f"{error}. The recipe {recipe.name} is for {recipe.dataset}: for domains of your own add --dataset "
                f"{OWN_DOMAINS}, or take the recipe {OWN_RECIPES[recipe.task]}"
            ) from error

    def only_one(self, recipe: DomainRecipe) -> DomainRecipe:
        """See `Task.only_one`."""
        method = recipe.method or BASELINES.get(recipe.task)
        parts = self.expand(recipe, [method] if method else None)
        if len(parts) > 1:
            missing = {"adaptation": "--source and --target", "generalization": "--target", "mixed": "one --source"}
            some = ", ".join(part.domain_pair for part in parts[:3])
            raise UserError(
                f"{recipe.name} stands for {len(parts)} tasks ({some}, …): name one with {missing[recipe.task]}, or "
                f"train all of them with 'binorm compare {recipe.name}'"
            )
        return parts[0]

    def training(self, recipe: DomainRecipe, norm: str, seed: int, settings: Settings) -> Training:
        """See `Task.training`."""
        dataset, identity = self.loader.dataset(recipe), self.loader.identity(recipe)
        return DomainTraining(recipe, norm, seed, dataset, identity, settings, self.objective)


TASK = DomainTask


def _domain_pairs(recipe: DomainRecipe, names: Sequence[str]) -> list[tuple[str, str]]:
    """Source and target of every run that a recipe of adaptation or generalization stands for."""
    if recipe.source:
        rest = [name for name in names if name not in recipe.sources]
        if not rest:
            raise UserError(
                f"the sources {recipe.source} are all domains of {recipe.dataset}: leave one out as the target"
            )
        return [(recipe.source, target) for target in ([recipe.target] if recipe.target else rest)]
    targets = [recipe.target] if recipe.target else names
    others = {target: [name for name in names if name != target] for target in targets}
    if recipe.task == "generalization":
        return [(",".join(sources), target) for target, sources in others.items()]
    return [(source, target) for source, target in permutations(names, 2) if target in targets]

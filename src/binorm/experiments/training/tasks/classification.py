"""Classification: cross-entropy and top-1 accuracy on labelled images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from binorm import param_groups
from binorm.experiments import data
from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.run_files import SAMPLES_FOLDER, WEIGHTS_FILE
from binorm.experiments.common.text import printable
from binorm.experiments.data.batches.batches import AnyTrainingBatches, evaluation_batches, training_batches
from binorm.experiments.data.batches.domain_batches import DomainBatches, pictures_a_step, steps_an_epoch
from binorm.experiments.data.batches.evaluation_check import check_evaluation_pictures
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.data.batches.seeds import epoch_seed
from binorm.experiments.data.batches.streaming import IMAGE_SIZE
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.identity import Identity, data_facts, remarks_on_data
from binorm.experiments.data.samples import write_samples
from binorm.experiments.models import check_name, create
from binorm.experiments.models.fast import Whitening
from binorm.experiments.models.head import find_head
from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.operations import operations
from binorm.experiments.models.weights import check_weights
from binorm.experiments.recipes.base import TRAIN
from binorm.experiments.recipes.classification import ClassificationRecipe, ClassifierRecipe
from binorm.experiments.runs.checkpoint import Trained, save_weights
from binorm.experiments.training.budget import Cost, measure_cost
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.settings import Settings, choose_settings
from binorm.experiments.training.task import Objective, Task, Training

C = TypeVar("C", bound=ClassifierRecipe)


class Classification(Objective):
    """Trains ``network``, (N, 3, H, W) -> (N, num_classes), by the recipe's SGD and schedule.

    Logs for each epoch ``train_loss`` and ``train_accuracy``, and ``<set>_loss`` and ``<set>_accuracy`` for each
    evaluation set; accuracies are top-1.
    """

    recipe: ClassifierRecipe

    def __init__(
        self,
        network: nn.Module,
        recipe: ClassifierRecipe,
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
        self.sets = (TRAIN, *map(printable, evaluation))  # as columns and TensorBoard's tags are called
        self.losses = nn.ModuleList(MeanMetric() for _ in self.sets)
        self.accuracies = nn.ModuleList(
            MulticlassAccuracy(num_classes, average="micro", validate_args=False) for _ in self.sets
        )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """SGD in the two groups of `binorm.param_groups`, scheduled by the step."""
        recipe = self.recipe
        optimizer = torch.optim.SGD(
            self.parameter_groups(), lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov
        )
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
        """Cross-entropy of one batch: images (N, 3, H, W), labels (N,)."""
        images, labels = batch
        logits = self.network(images)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        self.check_loss(loss, batch_idx)
        self.add_batch(0, loss, logits, labels)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, int], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Loss and accuracy of one evaluation batch: images (N, 3, H, W), labels (N,), of which the first are real."""
        images, labels, count = batch
        logits = self.network(images)[:count]
        labels = labels[:count]
        loss = functional.cross_entropy(logits, labels)
        self.add_batch(dataloader_idx + 1, loss, logits, labels)

    def add_batch(self, index: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch to the metrics of the set at ``index``: the mean loss, (N, num_classes) logits, (N,) labels."""
        mean_loss, accuracy = cast(MeanMetric, self.losses[index]), cast(MulticlassAccuracy, self.accuracies[index])
        mean_loss.update(loss.detach(), weight=len(labels))
        accuracy.update(logits.detach(), labels)
        logged: dict[str, Any] = {"on_step": False, "on_epoch": True, "add_dataloader_idx": False}
        self.log(f"{self.sets[index]}_loss", mean_loss, **logged)
        self.log(f"{self.sets[index]}_accuracy", accuracy, **logged)

    def check_loss(self, loss: Tensor, step: int) -> None:
        """See `Objective.check_finite`."""
        self.check_finite(loss, step, f"epoch {self.current_epoch + 1}, step {step + 1}")

    def metrics(self) -> Mapping[str, float]:
        """Losses, and accuracies in percent, of the training and evaluation sets."""
        logged = self.trainer.callback_metrics
        values = {f"{name}_{what}": logged[f"{name}_{what}"] for name in self.sets for what in ("loss", "accuracy")}
        return {
            name: (100 * value.item() if name.endswith("_accuracy") else value.item()) for name, value in values.items()
        }

    def so_far(self) -> str:
        """Top-1 accuracy on the training images of the epoch under way."""
        return f"train {100 * cast(MulticlassAccuracy, self.accuracies[0]).compute().item():.1f} %"

    def summary(self, row: Mapping[str, float]) -> str:
        """The training loss and all accuracies."""
        accuracies = "  ".join(f"{name} {row[f'{name}_accuracy']:.1f} %" for name in self.sets)
        return f"loss {row['train_loss']:.3f}  {accuracies}"


class ClassifierTraining(Training):
    """A classifier's run."""

    objective: Classification
    batches: AnyTrainingBatches | DomainBatches

    def __init__(
        self,
        recipe: ClassifierRecipe,
        norm: str,
        seed: int,
        dataset: Dataset,
        identity: Identity,
        settings: Settings,
        objective: type[Classification],
    ) -> None:
        self.recipe, self.dataset, self.settings = recipe, dataset, settings
        self.identity = identity
        self.trained = Trained(recipe, norm, seed, dataset.classes, Preprocessing.of(dataset, recipe))
        self.classes, self.evaluation_names = dataset.classes, tuple(dataset.evaluation)
        self.images = images_an_epoch(recipe, dataset)
        device = torch.device(settings.device)
        torch.manual_seed(seed)  # every norm starts from the same weights
        network = create(recipe.model, len(dataset.classes), norm, recipe.dropout, recipe.weights)
        self.network = network.to(memory_format=torch.channels_last)
        size = self.trained.preprocessing
        self.operations = operations(self.network, (size.height, size.width)) if size else 0
        self.batches = self.training_batches(seed, device)
        if not recipe.weights:
            self.fit_whitening()
        self.evaluation = [
            evaluation_batches(images, dataset, recipe, device) for images in dataset.evaluation.values()
        ]
        self.objective = objective(self.network, recipe, len(self.classes), self.evaluation_names, self.batches, seed)

    def training_batches(self, seed: int, device: torch.device) -> AnyTrainingBatches | DomainBatches:
        """What an epoch trains on."""
        return training_batches(self.dataset, self.recipe, seed, device)

    def fit_whitening(self) -> None:
        """Find the filters of networks that have such a layer, of the first training batch."""
        for module in self.network.modules():
            if isinstance(module, Whitening):
                module.fit(self.first_pictures())

    def first_pictures(self) -> Tensor:
        """Those of the first training batch, (N, 3, H, W)."""
        batch: Any = next(iter(self.batches))
        return torch.cat([each.pictures for each in batch]) if isinstance(batch, list) else batch[0]

    def begin(self, folder: Path) -> None:
        """Write sample images of every set."""
        write_samples(folder / SAMPLES_FOLDER, self.dataset)

    def facts(self) -> dict[str, Any]:
        """See `Training.facts`."""
        return {"data": self.data_facts(), "operations": self.operations}

    def data_facts(self) -> dict[str, Any]:
        """See `binorm.experiments.data.identity.data_facts`; and images left out because they are broken."""
        late = getattr(self.batches, "skipped", ())  # of streamed images it is known when they are decoded
        return {**data_facts(self.dataset, self.identity), "skipped": [*self.dataset.skipped, *late]}

    def save(self, folder: Path, command: str) -> None:
        """Write the weights."""
        save_weights(folder / WEIGHTS_FILE, self.network, self.trained)


class ClassifierTask(Task[C], Generic[C]):
    """What trainings of classifiers have in common: they are checked, sized and timed alike."""

    norms: ClassVar[Mapping[str, object]] = NORMS
    objective: ClassVar[type[Classification]] = Classification

    def __init__(self, loader: Loader) -> None:
        super().__init__(loader)
        self._costs: dict[tuple[object, ...], Cost] = {}

    def check(self, recipe: C) -> None:
        """Raise a `UserError` for an unknown data set, network or kind of weights."""
        lookup("data set", recipe.dataset, data.DATASETS)
        check_name(recipe.model)
        check_weights(recipe.weights, recipe.model)

    def size(self, recipe: C) -> tuple[int, int]:
        """See `Task.size`."""
        dataset = self.loader.dataset(recipe)
        if TRAIN in dataset.evaluation:
            raise UserError(
                f"{dataset.name} has an evaluation set that is called {TRAIN!r}, as the training pictures are: their "
                "accuracies could not be told apart. Rename it in the data, to 'test' for example"
            )
        check_evaluation_pictures(dataset)
        steps = steps_an_epoch(recipe, dataset)
        if steps == 0:
            domains = f" of each of {len(dataset.domains)} domains" if len(dataset.domains) > 1 else ""
            raise UserError(
                f"{dataset.name} has {len(dataset.train)} training pictures, fewer than one batch of "
                f"{recipe.batch_size}{domains}: choose a smaller --batch_size"
            )
        return steps, images_an_epoch(recipe, dataset)

    def data(self, recipe: C) -> Mapping[str, Any] | None:
        """See `Task.data`."""
        if not self.loader.finds(recipe):
            return None
        return data_facts(self.loader.dataset(recipe), self.loader.identity(recipe))

    def warnings(self, recipe: C) -> Sequence[str]:
        """See `Task.warnings`: what is left out or peculiar, and test pictures that are trained on."""
        return remarks_on_data(self.loader.dataset(recipe), self.loader.identity(recipe))

    def seconds(self, recipe: C, norm: str) -> float:
        """See `Task.seconds`; a network that was measured before is not measured again."""
        dataset = self.loader.dataset(recipe)
        own = int(dataset.train.images.shape[1]) if isinstance(dataset.train, ImageSet) else IMAGE_SIZE
        size = recipe.image_size or own
        key = (recipe.name, norm, len(dataset.classes), size)
        trained = images_an_epoch(recipe, dataset)
        if key not in self._costs:
            settings = self.settings(recipe, trained)
            self._costs[key] = measure_cost(recipe, norm, len(dataset.classes), settings, size)
        return self._costs[key].epoch(trained, sum(len(images) for images in dataset.evaluation.values()))

    def settings(self, recipe: C, images: int) -> Settings:
        """See `Task.settings`."""
        return choose_settings(recipe, images)

    def training(self, recipe: C, norm: str, seed: int, settings: Settings) -> Training:
        """See `Task.training`."""
        dataset, identity = self.loader.dataset(recipe), self.loader.identity(recipe)
        return ClassifierTraining(recipe, norm, seed, dataset, identity, settings, self.objective)


class ClassificationTask(ClassifierTask[ClassificationRecipe]):
    """One data set, trained on and tested on."""


TASK = ClassificationTask


def images_an_epoch(recipe: ClassifierRecipe, dataset: Dataset) -> int:
    """Images that go through the network in an epoch of training."""
    return steps_an_epoch(recipe, dataset) * pictures_a_step(recipe, dataset)

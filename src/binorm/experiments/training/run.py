"""One run: a recipe, a norm and a seed become one folder with everything that is known about it."""

import dataclasses
import gc
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml

from binorm.experiments.common.errors import DivergenceError, UserError
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.run_files import LAST_CHECKPOINT, WEIGHTS_FILE, weights_of
from binorm.experiments.data.batches.batches import evaluation_batches, training_batches
from binorm.experiments.data.batches.domain_batches import DomainBatches, pictures_a_step, steps_an_epoch
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.data.samples import write_samples
from binorm.experiments.models import create
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.runs.checkpoint import Trained, save_weights
from binorm.experiments.runs.folder import run_facts, run_status, sole_use
from binorm.experiments.training.features import write_features
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.protocols import task_label
from binorm.experiments.training.recorder import Recorder
from binorm.experiments.training.settings import choose_settings
from binorm.experiments.training.tasks import TASKS
from binorm.experiments.training.tasks.classification import Classification
from binorm.experiments.training.tasks.domains import DomainClassification
from binorm.experiments.training.trainer import resumable, stopping_on_signals, trainer, without_hints


def run_folder(out: Path, recipe: Recipe, norm: str, seed: int) -> Path:
    """Where a run lives: ``<out>/<recipe>/<norm>/seed<k>``, ``<method>/<task>`` before the norm if any."""
    return out.joinpath(recipe.name, recipe.method, task_label(recipe), norm, f"seed{seed}")


def run_label(recipe: Recipe, norm: str, seed: int) -> str:
    """What a run is called where several are shown."""
    return " ".join(part for part in (task_label(recipe), recipe.method, norm, f"seed {seed}") if part)


def run(
    recipe: Recipe, norm: str, seed: int, dataset: Dataset, out: Path, command: str, display: ProgressDisplay
) -> Path:
    """Train one network, or finish what an interrupted call began, to the same result; return its folder.

    A finished or diverged run is left as it is.

    Raises:
        UserError: for whatever the user can mend; `DivergenceError`, which is one, after noting it in the folder.
        Interrupted: on SIGINT or SIGTERM; the last finished epoch is kept.
    """
    folder = run_folder(out, recipe, norm, seed)
    with sole_use(folder):
        if run_status(folder, recipe) in ("finished", "diverged"):
            return folder
        try:
            return _Run(recipe, norm, seed, dataset, folder, command).train(display)
        finally:
            gc.collect()  # trainer and network know each other, and their few objects hold much memory


def check_batch_size(recipe: Recipe, dataset: Dataset) -> None:
    """Raise a `UserError` where an epoch would have no batch."""
    if steps_an_epoch(recipe, dataset) == 0:
        domains = f" of each of {len(dataset.domains)} domains" if len(dataset.domains) > 1 else ""
        raise UserError(
            f"{dataset.name} has {len(dataset.train)} training pictures, fewer than one batch of "
            f"{recipe.batch_size}{domains}: choose a smaller --batch_size"
        )


class _Run:
    def __init__(self, recipe: Recipe, norm: str, seed: int, dataset: Dataset, folder: Path, command: str) -> None:
        self.recipe, self.norm, self.seed = recipe, norm, seed
        self.dataset, self.folder, self.command = dataset, folder, command
        check_batch_size(recipe, dataset)
        self.settings = choose_settings(recipe, epoch_pictures(recipe, dataset))
        torch.manual_seed(seed)  # every norm starts from the same weights
        network = create(recipe.model, len(dataset.classes), norm, recipe.dropout, recipe.weights)
        self.network = network.to(memory_format=torch.channels_last)
        device = torch.device(self.settings.device)
        self.training = (DomainBatches if dataset.domains else training_batches)(dataset, recipe, seed, device)
        self.started = datetime.now(UTC).isoformat(timespec="seconds")

    def train(self, display: ProgressDisplay) -> Path:
        configuration = yaml.safe_dump(dataclasses.asdict(self.recipe), sort_keys=False)
        write_text_atomically(self.folder / "config.yaml", configuration)
        pictures = epoch_pictures(self.recipe, self.dataset)
        recorder = Recorder(self.folder, self.network, self.dataset.evaluation, pictures, self.dataset.classes)
        self._note("running", recorder)
        write_samples(self.folder / "samples", self.dataset)
        try:
            module = self._fit(recorder, display)
        except DivergenceError as error:
            self._note("diverged", recorder, str(error))
            raise
        self._save(module)
        self._note("finished", recorder)
        return self.folder

    def _save(self, module: Classification) -> None:
        """Write the trained network; of several domains, also what their pictures look like to it."""
        trained = Trained(self.recipe, self.norm, self.seed, self.dataset.classes)
        if isinstance(module, DomainClassification):
            write_features(self.folder, module, self.dataset, self.settings)
            for domain in module.domains_with_statistics():
                module.store_statistics(domain)  # the last one's, the target's in adaptation, stay in WEIGHTS_FILE
                save_weights(weights_of(self.folder, domain), self.network, trained)
        save_weights(self.folder / WEIGHTS_FILE, self.network, trained)

    def _fit(self, recorder: Recorder, display: ProgressDisplay) -> Classification:
        device = torch.device(self.settings.device)
        sets = self.dataset.evaluation.values()
        evaluation = [evaluation_batches(images, self.dataset, self.recipe, device) for images in sets]
        module = TASKS[self.recipe.task](
            self.network,
            self.recipe,
            len(self.dataset.classes),
            tuple(self.dataset.evaluation),
            self.training,
            self.seed,
        )
        if self.settings.compiled:
            torch.compiler.reset()  # graphs of earlier runs would count towards the limit of recompilations
            self.network.compile(dynamic=False)
        checkpoint = self.folder / LAST_CHECKPOINT
        label = run_label(self.recipe, self.norm, self.seed)
        with stopping_on_signals(), without_hints():
            fitting = trainer(self.recipe.epochs, self.settings, self.folder, [recorder, display.run(label, recorder)])
            fitting.fit(module, self.training, evaluation, ckpt_path=resumable(checkpoint), weights_only=True)
        return module

    def _domains(self) -> dict[str, Any]:
        if not self.dataset.domains:
            return {}
        trained = {"train": list(self.dataset.domains), "target": self.recipe.target or None}
        return {"domains": {**trained, "statistics": self.recipe.statistics}}

    def _note(self, status: str, recorder: Recorder, reason: str | None = None) -> None:
        """Write ``run.json``: what the run is, where it stands, and everything that its figures can depend on."""
        facts = {
            **run_facts(self.recipe, self.norm, self.seed, self.command, self.settings, self.network),
            "status": status,
            "reason": reason,
            "started": self.started,
            "seconds": round(sum(row["seconds"] + row["evaluation_seconds"] for row in recorder.rows), 1),
            "data": {
                "name": self.dataset.name,
                "source": self.dataset.source,
                "train": len(self.dataset.train),
                "evaluation": {name: len(images) for name, images in self.dataset.evaluation.items()},
                "classes": list(self.dataset.classes),
                **self._domains(),
                "skipped": [*self.dataset.skipped, *getattr(self.training, "skipped", ())],  # streamed ones are late
            },
        }
        write_text_atomically(self.folder / "run.json", json.dumps(facts, indent=2) + "\n")


def epoch_pictures(recipe: Recipe, dataset: Dataset) -> int:
    """Pictures that go through the network in an epoch of training."""
    return steps_an_epoch(recipe, dataset) * pictures_a_step(recipe, dataset)

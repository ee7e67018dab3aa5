"""One training of a style: a recipe, a norm and a seed become one folder with everything that is known about it."""

import dataclasses
import gc
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
import yaml
from PIL import Image
from rich.console import Console
from torch import Tensor

from binorm.experiments.common.errors import DivergenceError, UserError, known
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.images import BrokenImageError, open_image
from binorm.experiments.common.run_files import LAST_CHECKPOINT, STYLE_FILE
from binorm.experiments.recipes.stylization import StyleRecipe
from binorm.experiments.runs.folder import run_facts, run_status, sole_use
from binorm.experiments.style.network import STYLE_NORMS, StyleNetwork
from binorm.experiments.style.style_file import StyleCard, save_style
from binorm.experiments.style.training.loss_network import load_loss_network
from binorm.experiments.style.training.losses import PerceptualLoss
from binorm.experiments.style.training.photographs import PhotographBatches, Photographs, find_photographs
from binorm.experiments.style.training.samples import write_style_samples
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.settings import choose_settings
from binorm.experiments.training.style_recorder import StyleRecorder
from binorm.experiments.training.tasks.stylization import Stylization
from binorm.experiments.training.trainer import resumable, stopping_on_signals, trainer, without_hints


def style_run_folder(out: Path, recipe: StyleRecipe, norm: str, seed: int) -> Path:
    """Where a training lives: ``<out>/<recipe>/<style>/<norm>/seed<k>``."""
    return out / recipe.name / recipe.style_name / norm / f"seed{seed}"


def train_styles(
    recipe: StyleRecipe,
    norms: Sequence[str],
    seeds: Sequence[int],
    data: Path | None,
    out: Path,
    command: str,
    console: Console,
) -> list[DivergenceError]:
    """Train every norm with every seed that is not finished yet; all see the same parts of photographs in one order.

    A diverged training does not stop the others; its error is returned.

    Raises:
        UserError: for unknown norms, unusable photographs, style pictures or weights.
    """
    for norm in norms:
        known("norm of a style network:", norm, dict.fromkeys(STYLE_NORMS))
    if not seeds or min(seeds) < 0:
        raise UserError(f"a seed should be at least 0 (got {min(seeds, default=None)})")
    folders = {(norm, seed): style_run_folder(out, recipe, norm, seed) for seed in seeds for norm in norms}
    opened_runs = [key for key, folder in folders.items() if run_status(folder, recipe) not in ("finished", "diverged")]
    if done := len(folders) - len(opened_runs):
        console.print(f"{done} of {len(folders)} trainings are done already, in {out / recipe.name}")
    if not opened_runs:
        return []
    photographs = find_photographs(data)
    style_picture = read_style_picture(Path(recipe.style), recipe.style_size)
    errors = []
    with ProgressDisplay(console, len(opened_runs), recipe.steps * len(opened_runs)) as display:
        for norm, seed in opened_runs:
            folder = folders[norm, seed]
            with sole_use(folder):
                try:
                    _StyleRun(recipe, norm, seed, photographs, style_picture, folder, command).train(display)
                except DivergenceError as error:
                    errors.append(error)
            gc.collect()
    return errors


def read_style_picture(path: Path, short_side: int) -> Tensor:
    """(1, 3, H, W), RGB in [0, 1], its short side brought to ``short_side`` pixels.

    Raises:
        UserError: if it cannot be read or is no picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the style picture {path}: {error.strerror or error}: check --style") from error
    try:
        with open_image(data) as picture:
            scale = short_side / min(picture.size)
            size = (max(short_side, round(scale * picture.width)), max(short_side, round(scale * picture.height)))
            pixels = torch.frombuffer(
                bytearray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).tobytes()), dtype=torch.uint8
            )
    except BrokenImageError as error:
        raise UserError(f"the style picture {path} cannot be decoded ({error}): check --style") from error
    return pixels.view(1, size[1], size[0], 3).permute(0, 3, 1, 2).float() / 255


class _StyleRun:
    def __init__(
        self,
        recipe: StyleRecipe,
        norm: str,
        seed: int,
        photographs: Photographs,
        style_picture: Tensor,
        folder: Path,
        command: str,
    ) -> None:
        self.recipe, self.norm, self.seed, self.folder, self.command = recipe, norm, seed, folder, command
        self.photographs = photographs
        self.settings = choose_settings(recipe, 0)
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        device = torch.device(self.settings.device)
        loss_network = load_loss_network(recipe.loss_network).to(device).to(memory_format=torch.channels_last)
        self.loss = PerceptualLoss(loss_network, style_picture.to(device), recipe.content_layers, recipe.style_layers)
        torch.manual_seed(seed)  # every norm starts from the same weights
        self.network = StyleNetwork(recipe.width, recipe.blocks, norm).to(memory_format=torch.channels_last)
        self.batches = PhotographBatches(photographs, recipe, seed)
        self.style_size = [style_picture.shape[3], style_picture.shape[2]]

    def train(self, display: ProgressDisplay) -> None:
        recipe = self.recipe
        configuration = yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False)
        write_text_atomically(self.folder / "config.yaml", configuration)
        recorder = StyleRecorder(self.folder, self.network, recipe.period, recipe.period * recipe.batch_size)
        self._note("running", recorder)
        module = Stylization(self.network, self.loss, recipe, self.batches)
        if self.settings.compiled:
            torch.compiler.reset()
            self.network.compile(dynamic=False)
            self.loss.network.compile(dynamic=False)
        label = f"{recipe.style_name} {self.norm} seed {self.seed}"
        checkpoint = self.folder / LAST_CHECKPOINT
        try:
            with stopping_on_signals(), without_hints():
                fitting = trainer(recipe.epochs, self.settings, self.folder, [recorder, display.run(label, recorder)])
                fitting.fit(module, self.batches, ckpt_path=resumable(checkpoint), weights_only=True)
        except DivergenceError as error:
            self._note("diverged", recorder, str(error))
            raise
        write_style_samples(self.folder / "samples", self.network)
        save_style(self.folder / STYLE_FILE, self.network, self._card())
        self._note("finished", recorder)

    def _card(self) -> StyleCard:
        """What the file of the trained network says; title and source are as much as the picture's name tells."""
        recipe = self.recipe
        title = recipe.style_name.replace("_", " ")
        return StyleCard(title, "", "", Path(recipe.style).name, self.norm, recipe.width, recipe.blocks, self.command)

    def _note(self, status: str, recorder: StyleRecorder, reason: str | None = None) -> None:
        """Write ``run.json``: what the run is, where it stands, and everything that its figures can depend on."""
        facts = {
            **run_facts(self.recipe, self.norm, self.seed, self.command, self.settings, self.network),
            "status": status,
            "reason": reason,
            "started": self.started,
            "seconds": round(sum(row["seconds"] for row in recorder.rows), 1),
            "style": {"name": self.recipe.style_name, "picture": self.recipe.style, "size": self.style_size},
            "data": {
                "name": self.photographs.source.name,
                "source": str(self.photographs.source),
                "train": len(self.photographs),
                "skipped": list(self.batches.skipped),
            },
        }
        write_text_atomically(self.folder / "run.json", json.dumps(facts, indent=2) + "\n")

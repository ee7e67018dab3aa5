"""Stylization: content, style and variation of what a style network makes of photographs."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from binorm import param_groups
from binorm.experiments.common.decoding import in_rgb
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError, open_image
from binorm.experiments.common.run_files import SAMPLES_FOLDER, STYLE_FILE
from binorm.experiments.recipes.stylization import StylizationRecipe
from binorm.experiments.style.network import STYLE_NORMS, StyleNetwork
from binorm.experiments.style.style_file import StyleCard, save_style
from binorm.experiments.style.training.loss_network import load_loss_network
from binorm.experiments.style.training.losses import Losses, PerceptualLoss
from binorm.experiments.style.training.photographs import PhotographBatches, Photographs, find_photographs
from binorm.experiments.style.training.samples import log_samples, write_style_samples
from binorm.experiments.training.settings import Settings, choose_settings
from binorm.experiments.training.task import Objective, Task, Training

SAMPLES = 10  # times in a training that TensorBoard is shown the samples


class Stylization(Objective):
    """Trains ``network``, (N, 3, H, W) -> the same, by Adam at a constant rate, on batches of photographs.

    An epoch is a period of the recipe. `metrics` are the means of every loss over it, unweighted: ``content``,
    ``style``, ``variation``, ``total`` (weighted) and ``style_<layer>``.
    """

    digits: ClassVar[int] = 8

    recipe: StylizationRecipe

    def __init__(
        self, network: nn.Module, loss: PerceptualLoss, recipe: StylizationRecipe, batches: PhotographBatches
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
        self.check_finite(total, batch_idx, f"step {self.global_step + 1}")
        return total

    def on_train_epoch_end(self) -> None:
        """Show losses, and from time to time samples, in TensorBoard."""
        self.log_dict(dict(self.metrics()))
        periods = self.current_epoch + 1
        if periods % max(1, self.recipe.num_epochs // SAMPLES) == 0:
            log_samples(self.trainer, self.network, self.position(periods))

    def position(self, epochs: int) -> int:
        """Steps after so many periods."""
        return epochs * self.recipe.period

    def metrics(self) -> Mapping[str, float]:
        """See `Stylization`; of the period so far."""
        if not self._steps:
            raise UserError("no step was made yet")
        return {name: (value / self._steps).item() for name, value in self._sums.items()}

    def so_far(self) -> str:
        """Content and style loss of the period under way."""
        means = self.metrics()
        return f"content {means['content']:.3f}  style {means['style']:.3f}"

    def summary(self, row: Mapping[str, float]) -> str:
        """Content and style loss."""
        return f"content {row['content']:.4f}  style {row['style']:.4f}"

    def _keep(self, losses: Losses, style: Tensor, total: Tensor) -> None:
        now = {"content": losses.content, "style": style, "variation": losses.variation, "total": total}
        now |= {f"style_{name}": value for name, value in losses.style.items()}
        for name, value in now.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=value.device)) + value.detach().float()
        self._steps += 1


class StylizationTraining(Training):
    """A style network's run."""

    network: StyleNetwork
    batches: PhotographBatches

    def __init__(
        self,
        recipe: StylizationRecipe,
        norm: str,
        seed: int,
        photographs: Photographs,
        style_image: Tensor,
        settings: Settings,
    ) -> None:
        self.recipe, self.norm, self.photographs = recipe, norm, photographs
        device = torch.device(settings.device)
        loss_network = load_loss_network(recipe.loss_network).to(device).to(memory_format=torch.channels_last)
        self.loss = PerceptualLoss(loss_network, style_image.to(device), recipe.content_layers, recipe.style_layers)
        torch.manual_seed(seed)  # every norm starts from the same weights
        self.network = StyleNetwork(recipe.width, recipe.blocks, norm)
        self.network.to(memory_format=torch.channels_last)
        self.batches = PhotographBatches(photographs, recipe, seed)
        self.objective = Stylization(self.network, self.loss, recipe, self.batches)
        self.images = recipe.period * recipe.batch_size
        self.style_image = style_image
        self.style_size = [style_image.shape[3], style_image.shape[2]]

    def compile(self) -> None:
        """Compile the network and the loss network."""
        super().compile()
        self.loss.network.compile(dynamic=False)

    def facts(self) -> dict[str, Any]:
        """Of the style image, and of the photographs."""
        return {
            "style": {"name": self.recipe.style_name, "picture": self.recipe.style, "size": self.style_size},
            "data": {**data_facts(self.photographs, self.style_image), "skipped": list(self.batches.skipped)},
        }

    def save(self, folder: Path, command: str) -> None:
        """Write stylized samples and the style's file, whose title is as much as the image's name tells."""
        recipe = self.recipe
        write_style_samples(folder / SAMPLES_FOLDER, self.network)
        title = recipe.style_name.replace("_", " ")
        card = StyleCard(title, "", "", Path(recipe.style).name, self.norm, recipe.width, recipe.blocks, command)
        save_style(folder / STYLE_FILE, self.network, card)


class StylizationTask(Task[StylizationRecipe]):
    """Learning one style from an image and photographs."""

    norms: ClassVar[Mapping[str, object]] = dict.fromkeys(STYLE_NORMS)
    norm_kind: ClassVar[str] = "norm of a style network:"

    def check(self, recipe: StylizationRecipe) -> None:
        """Nothing in it is a name that could be checked without the files."""

    def size(self, recipe: StylizationRecipe) -> tuple[int, int]:
        """See `Task.size`; an epoch is a period."""
        _ = self._photographs, self._style_image(recipe)  # what is wrong with them is said before anything is trained
        return recipe.period, recipe.period * recipe.batch_size

    def data(self, recipe: StylizationRecipe) -> Mapping[str, Any] | None:
        """See `Task.data`."""
        return data_facts(self._photographs, self._style_image(recipe)) if self.loader.path else None

    def warnings(self, recipe: StylizationRecipe) -> Sequence[str]:
        """See `Task.warnings`: what is left out."""
        return self._photographs.remarks

    def settings(self, recipe: StylizationRecipe, images: int) -> Settings:
        """See `Task.settings`; compiled only where the recipe says so, since it takes minutes on a CPU."""
        return choose_settings(recipe, 0)

    def training(self, recipe: StylizationRecipe, norm: str, seed: int, settings: Settings) -> Training:
        """See `Task.training`."""
        style_image = self._style_image(recipe)
        return StylizationTraining(recipe, norm, seed, self._photographs, style_image, settings)

    @cached_property
    def _photographs(self) -> Photographs:
        return find_photographs(self.loader.path)

    def _style_image(self, recipe: StylizationRecipe) -> Tensor:
        return read_style_image(Path(recipe.style), recipe.style_size)


TASK = StylizationTask


def data_facts(photographs: Photographs, style_image: Tensor) -> dict[str, Any]:
    """What ``run.json`` says of the photographs and, to tell it from others, of the style image."""
    source = photographs.tree.path
    return {
        "name": source.name,
        "source": str(source),
        "train": len(photographs),
        "fingerprint": photographs.fingerprint,
        "style_fingerprint": hashlib.blake2b(style_image.numpy().tobytes(), digest_size=16).hexdigest(),
        "remarks": list(photographs.remarks),
    }


def read_style_image(path: Path, short_side: int) -> Tensor:
    """(1, 3, H, W), RGB in [0, 1], its short side brought to ``short_side`` pixels.

    Raises:
        UserError: if it cannot be read or is no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the style picture {path}: {error.strerror or error}: check --style") from error
    try:
        with open_image(data) as image:
            style = in_rgb(image)
            scale = short_side / min(style.size)
            size = (max(short_side, round(scale * style.width)), max(short_side, round(scale * style.height)))
            pixels = torch.frombuffer(
                bytearray(style.resize(size, Image.Resampling.LANCZOS).tobytes()), dtype=torch.uint8
            )
    except BrokenImageError as error:
        raise UserError(f"the style picture {path} cannot be decoded ({error}): check --style") from error
    return pixels.view(1, size[1], size[0], 3).permute(0, 3, 1, 2).float() / 255

"""Styles as files: a trained network in float16, and in the header what it is and where its picture comes from."""

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

import torch
from safetensors.torch import save

from binorm.experiments.common.errors import UserError, nearest
from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.run_files import STYLE_FILE
from binorm.experiments.common.tensors import read_safetensors
from binorm.experiments.style.network import StyleNetwork

SHIPPED = Path(str(files("binorm.experiments.style"))) / "shipped"


@dataclass(frozen=True)
class StyleCard:
    """What a style file says of itself, and of the picture that the style was learned from."""

    title: str
    artist: str
    date: str  # as text
    source: str  # where the picture's file came from
    norm: str  # of the network, as are the next two
    width: int
    blocks: int
    trained_by: str  # the command


def style_names() -> list[str]:
    """The styles that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def style_path(style: str | Path) -> Path:
    """The file of a style, by its name, its file, or the folder of the run that trained it.

    Raises:
        UserError: if there is none.
    """
    path = Path(style)
    if str(style) in style_names():
        return SHIPPED / f"{style}.safetensors"
    if path.is_dir():
        if not (path / STYLE_FILE).exists():
            raise UserError(f"{path} holds no {STYLE_FILE}: is it the folder of a finished style run (…/seed0)?")
        return path / STYLE_FILE
    if not path.exists():
        names = dict.fromkeys(style_names())
        shipped = f"Give one of {', '.join(names)}, or a" if names else "Give a"
        raise UserError(
            f"there is no style {str(style)!r}{nearest(str(style), names)} {shipped} .safetensors that 'binorm train "
            "style' wrote"
        )
    return path


def save_style(path: Path, network: StyleNetwork, card: StyleCard) -> None:
    """Write a network in float16, wholly or not at all."""
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in network.state_dict().items()
    }
    write_bytes_atomically(path, save(tensors, {"binorm-style": json.dumps(asdict(card))}))


def load_style(style: str | Path) -> tuple[StyleNetwork, StyleCard]:
    """The network of a style (see `style_path`), in float32 and ready for use (``eval()``), and its card.

    Raises:
        UserError: if there is no such style, or its file is damaged or something else.
    """
    path = style_path(style)
    state, metadata = read_safetensors(path)
    card = _card(path, metadata)
    if not (1 <= card.width <= 256 and 1 <= card.blocks <= 64):  # a header could ask for any memory
        raise UserError(f"{path} describes a network of width {card.width} with {card.blocks} blocks: it is damaged")
    network = StyleNetwork(card.width, card.blocks, card.norm)
    try:
        network.load_state_dict(state)  # copies into float32
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise UserError(f"{path} does not hold the network that its header describes: {problem}") from error
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise UserError(f"{path} holds weights that are not finite: it is damaged, train the style again")
    return network.eval().requires_grad_(False), card


def _card(path: Path, metadata: dict[str, str]) -> StyleCard:
    try:
        given: dict[str, Any] = json.loads(metadata["binorm-style"])
        return StyleCard(**{name: kind(given[name]) for name, kind in get_type_hints(StyleCard).items()})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} does not say what style it is: expected a {STYLE_FILE} of 'binorm train style'"
        ) from error

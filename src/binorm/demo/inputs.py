"""The components that take a picture: a place to drop a file, whose bytes are read and decoded by us alone."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import gradio as gr

from binorm.demo.limits import Limits, open_picture
from binorm.demo.pictures import examples
from binorm.experiments.common.errors import UserError

if TYPE_CHECKING:
    from binorm.experiments.style.picture_files import Picture

P = ParamSpec("P")
T = TypeVar("T")


def picture_inputs(limits: Limits) -> tuple[gr.File, gr.Radio]:
    """Where a visitor gives a picture: a place to drop it, and examples beside it.

    Gradio's image components decode what comes before anyone can look at its size; a file's bytes come as they are.
    """
    picture = gr.File(
        label=f"Your picture (up to {limits.megapixels:g} megapixels, {limits.megabytes:g} MB)",
        type="binary",
        file_types=["image"],
        height=112,
        elem_classes="picture",
    )
    names = list(examples())
    example = gr.Radio(
        names, value=names[0] if names else None, label="or try", visible=bool(names), elem_classes="examples"
    )
    return picture, example


def only_one_source(picture: gr.File, example: gr.Radio) -> Any:
    """An upload deselects the example, and choosing an example takes the upload away; returns the latter event."""
    options: dict[str, Any] = {"fn": None, "inputs": None, "js": "() => null", "api_visibility": "private"}
    picture.upload(outputs=example, **options)
    return example.input(outputs=picture, **options)


def chosen_picture(data: bytes | None, example: str | None, limits: Limits) -> "Picture":
    """The visitor's picture, or else the chosen example.

    Raises:
        UserError: where there is neither, or the picture cannot be used.
    """
    from binorm.experiments.style.picture_files import Picture

    if data is not None:
        return open_picture(data, limits)
    if example is not None and example in examples():
        return Picture(examples()[example], None, None, None)
    raise UserError("Choose a picture first.")


def plainly(function: Callable[P, T]) -> Callable[P, T]:
    """What is wrong with a visitor's input becomes a message on the page, not a traceback in the terminal."""

    @functools.wraps(function)
    def wrapped(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return function(*arguments, **named)
        except UserError as error:
            message = str(error)
            raise gr.Error(message[:1].upper() + message[1:], print_exception=False) from error

    return wrapped

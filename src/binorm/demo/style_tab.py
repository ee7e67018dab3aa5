"""The page's first tab: a picture, a style, and how much of it."""

import dataclasses
import functools
import uuid
from collections.abc import Callable
from typing import Any

import gradio as gr

from binorm.demo.inputs import chosen_picture, only_one_source, picture_inputs, plainly
from binorm.demo.limits import Limits
from binorm.demo.pictures import EXAMPLES, KEEP_DIVIDER, comparison
from binorm.demo.shelf import Shelf
from binorm.demo.stylist import Drawing, Stylist

GATE_INFO = "−1 instance norm, 0 as trained, 1 batch norm"
EMPTY = '<div class="empty">Choose a picture, and it appears here in the style of a painting.</div>'
NO_STYLES = (
    "No styles are installed. Train one with `binorm train style`, then start `binorm serve` again with its folder "
    "below `--runs`."
)


def gate_text(gate: float) -> str:
    """What a place of the gate's slider means, in a sentence."""
    if gate == 0:
        return "**As trained.** Each channel keeps the mix of batch and instance norm that it learned: its gate."
    if gate < 0:
        how = "All gates are 0" if gate == -1 else f"Every gate is moved {-gate:.0%} of the way to 0"
        return f"**{how}: instance norm.** Each picture is normalized by itself: its own contrast and light are lost."
    how = "All gates are 1" if gate == 1 else f"Every gate is moved {gate:.0%} of the way to 1"
    return (
        f"**{how}: batch norm.** Pictures are normalized as the training pictures were on average: a dim one stays "
        "dim. Try the dim palace."
    )


class StyleTab:
    """Builds the tab, and answers it.

    Args:
        stylist: with the styles to offer.
        shelf: where results wait to be downloaded.
        limits: of uploads.
    """

    def __init__(self, stylist: Stylist, shelf: Shelf, limits: Limits) -> None:
        self._stylist, self._shelf, self._limits = stylist, shelf, limits
        # What most visitors see first is drawn once.
        self._drawn_example = functools.lru_cache(8)(self._draw_example)

    def build(self, page: gr.Blocks) -> None:
        """Add the tab's components, inside a `gr.Tab`."""
        if not self._stylist.styles:
            gr.Markdown(NO_STYLES, elem_classes="message")
            return
        with gr.Row(elem_classes="sides"):
            with gr.Column(scale=3, min_width=320, elem_classes="stage"):
                result = gr.HTML(EMPTY, js_on_load=KEEP_DIVIDER, apply_default_css=False, elem_id="result")
                download = gr.DownloadButton("Download as PNG", visible="hidden", elem_id="download")
            with gr.Column(scale=2, min_width=320):
                picture, example = picture_inputs(self._limits)
                style = gr.Radio(
                    [(self._label(name), name) for name in self._stylist.styles],
                    value=next(iter(self._stylist.styles)),
                    label="Style",
                    elem_id="styles",
                )
                strength = gr.Slider(0, 1, 1, step=0.05, label="Strength", buttons=[], elem_id="strength")
                gate = gr.Slider(-1, 1, 0, step=0.05, label="Gates", info=GATE_INFO, buttons=[], elem_id="gate")
                explanation = gr.Markdown(gate_text(0), elem_id="explanation")
        gate.change(gate_text, gate, explanation, show_progress="hidden", api_visibility="private", concurrency_limit=8)
        self._connect(page, (picture, example, style, strength, gate), (result, download))

    def _connect(self, page: gr.Blocks, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        picture, example, style, strength, gate = inputs
        options: dict[str, Any] = {
            "fn": self.stylize,
            "inputs": list(inputs),
            "outputs": list(outputs),
            "show_progress": "minimal",
            "show_progress_on": [outputs[0]],
            "concurrency_limit": 1,
            "concurrency_id": "draw",
        }
        triggers: list[Callable[..., Any]] = [picture.upload, style.input, strength.release, gate.release]
        gr.on(triggers, trigger_mode="always_last", api_name="stylize", **options)
        only_one_source(picture, example).then(**options, api_visibility="private")
        page.load(**options, api_visibility="private")
        page.unload(self.forget)

    def stylize(
        self, data: bytes | None, example: str | None, style: str, strength: float, gate: float, request: gr.Request
    ) -> tuple[str, Any]:
        """A picture in a style, as the comparison that the page shows, and the file to download."""
        return self._answer(data, example, style, strength, gate, request.session_hash or uuid.uuid4().hex)

    def forget(self, request: gr.Request) -> None:
        """Delete the results of a visitor who left."""
        self._shelf.forget(request.session_hash or "")

    @plainly
    def _answer(
        self, data: bytes | None, example: str | None, style: str, strength: float, gate: float, visitor: str
    ) -> tuple[str, Any]:
        from binorm.experiments.style.picture_files import encode_picture

        if data is None and example is None:
            return EMPTY, gr.update(visible="hidden", value=None)
        picture = chosen_picture(data, example, self._limits)
        if data is None and example is not None:
            drawing = self._drawn_example(example, style, strength, gate)
        else:
            drawing = self._stylist.draw(picture.pixels, style, strength, gate)
        height, width = drawing.pixels.shape[:2]
        facts = f"{width} × {height} pixels, drawn in {drawing.seconds:.2f} s"
        if data is None and example is not None:
            facts += f". {EXAMPLES[example][-1]}"
        # Where and when a photograph was taken is nothing that a result should tell.
        result = dataclasses.replace(picture, pixels=drawing.pixels, exif=None)
        file = self._shelf.put(visitor, f"{style}.png", encode_picture(result, "PNG"))
        html = comparison(picture.pixels, drawing.pixels, self._stylist.title(style), facts)
        return html, gr.update(visible=True, value=str(file))

    def _draw_example(self, example: str, style: str, strength: float, gate: float) -> Drawing:
        return self._stylist.draw(chosen_picture(None, example, self._limits).pixels, style, strength, gate)

    def _label(self, style: str) -> str:
        card = self._stylist.cards[style]
        return f"{card.title} – {card.artist}, {card.date}"

"""The page's second tab: where the gates of a network stand, and what channels make of a picture."""

from typing import Any

import gradio as gr

from binorm.demo.inputs import chosen_picture, only_one_source, picture_inputs, plainly
from binorm.demo.limits import Limits
from binorm.demo.networks import Networks

NONE = (
    '<div class="empty">There is no finished run with gates below the folder of runs yet: '
    "<code>binorm compare digits</code> makes some.</div>"
)


class GatesTab:
    """Builds the tab, and answers it.

    Args:
        networks: to choose from.
        limits: of uploads.
    """

    def __init__(self, networks: Networks, limits: Limits) -> None:
        self._networks, self._limits = networks, limits

    def build(self, tab: gr.Tab) -> None:
        """Add the tab's components; networks are looked for whenever it is opened."""
        network = gr.Dropdown([], label="Network", elem_id="network")
        overview = gr.HTML(NONE, apply_default_css=False, js_on_load=None, elem_id="overview")
        gr.Markdown("### One layer, and what its channels make of a picture")
        with gr.Row(elem_classes="sides"):
            with gr.Column(scale=2, min_width=320):
                layer = gr.Dropdown([], label="Layer", elem_id="layer")
                histogram = gr.HTML(apply_default_css=False, js_on_load=None, elem_id="layer-histogram")
                picture, example = picture_inputs(self._limits)
            with gr.Column(scale=3, min_width=320):
                maps = gr.HTML(apply_default_css=False, js_on_load=None, elem_id="maps")
        options: dict[str, Any] = {
            "api_visibility": "private",
            "concurrency_limit": 1,
            "concurrency_id": "figures",  # matplotlib's settings are those of the process
            "show_progress": "minimal",
        }
        look = {"fn": self.look, "inputs": [network, layer, picture, example], "outputs": [histogram, maps]}
        listed = tab.select(self.names, network, network, **options)
        for changed in (listed, network.input):
            opened = changed.then if changed is listed else changed
            opened(self.open, [network, layer], [overview, layer], **options).then(**look, **options)
        gr.on([layer.input, picture.upload], **look, **options, trigger_mode="always_last")
        only_one_source(picture, example).then(**look, **options)

    def names(self, chosen: str | None) -> Any:
        """The networks there are; the first is chosen where none was."""
        found = list(self._networks.find())
        return gr.update(choices=found, value=chosen if chosen in found else next(iter(found), None))

    @plainly
    def open(self, name: str | None, layer: str | None) -> tuple[str, Any]:
        """A network's gates, and its layers; the one that was chosen stays, if it has it."""
        from binorm.demo.gate_views import overview

        if name is None:
            return NONE, gr.update(choices=[], value=None)
        opened = self._networks.open(name)
        layers = [each.name for each in opened.layers]
        return overview(opened), gr.update(choices=layers, value=layer if layer in layers else layers[0])

    @plainly
    def look(self, name: str | None, layer: str | None, data: bytes | None, example: str | None) -> tuple[str, str]:
        """One layer's gates, and its channels' responses to the picture."""
        from binorm.demo.gate_views import channel_cards, layer_histogram
        from binorm.demo.networks import channel_maps

        if name is None or layer is None:
            return "", ""
        opened = self._networks.open(name)
        found = {each.name: each for each in opened.layers}
        if layer not in found:
            return "", ""
        if data is None and example is None:
            return layer_histogram(found[layer]), ""
        pixels = chosen_picture(data, example, self._limits).pixels
        return layer_histogram(found[layer]), channel_cards(channel_maps(opened, layer, pixels))

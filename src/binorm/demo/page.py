"""The page: its heading and its three tabs."""

from collections.abc import Mapping
from pathlib import Path

import gradio as gr

from binorm.demo.appearance import KEYS
from binorm.demo.gates_tab import GatesTab
from binorm.demo.limits import Limits
from binorm.demo.networks import Networks
from binorm.demo.reports_tab import ReportsTab
from binorm.demo.shelf import Shelf
from binorm.demo.style_tab import StyleTab
from binorm.demo.stylist import Stylist

TITLE = "Batch-Instance Normalization"
_HEADING = f"""
<div class="masthead"><h1>{TITLE}</h1>
<p>Each channel of a network learns a gate: how much of a picture's style it keeps (batch norm) and how much it
removes (instance norm).</p></div>
"""


def make_page(stylist: Stylist, runs: Path, styles: Mapping[str, Path], shelf: Shelf, limits: Limits) -> gr.Blocks:
    """Everything that a visitor sees, and what answers it.

    Args:
        stylist: draws pictures.
        runs: the folder of all runs.
        styles: files of styles by name.
        shelf: the folder that files may be written to.
        limits: what visitors may send, and how many may wait.
    """
    page = gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True)
    with page:
        gr.HTML(_HEADING, apply_default_css=False, js_on_load=None)
        with gr.Tabs():
            with gr.Tab("Style", elem_id="tab-style"):
                StyleTab(stylist, shelf, limits).build(page)
            with gr.Tab("Gates") as gates:
                GatesTab(Networks(runs, styles), limits).build(gates)
            with gr.Tab("Reports") as reports:
                ReportsTab(runs).build(reports)
        page.load(fn=None, js=KEYS, api_visibility="private")
    page.queue(max_size=limits.waiting, default_concurrency_limit=1, api_open=False)
    return page

"""The page's third tab: the reports of comparisons."""

import html
from pathlib import Path
from typing import Any

import gradio as gr

from binorm.demo.inputs import plainly
from binorm.demo.reports import find_reports, report_frame


class ReportsTab:
    """Builds the tab, and answers it.

    Args:
        runs: the folder of all runs.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs

    def build(self, tab: gr.Tab) -> None:
        """Add the tab's components; reports are looked for whenever it is opened."""
        name = gr.Dropdown([], label="Report", elem_id="report-name")
        frame = gr.HTML(self._none, apply_default_css=False, js_on_load=None, elem_id="report")
        options: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 4, "show_progress": "hidden"}
        listed = tab.select(self.names, name, name, **options)
        listed.then(self.show, name, frame, **options)
        name.input(self.show, name, frame, **options)

    @property
    def _none(self) -> str:
        return (
            f'<div class="empty">There is no report below the folder <code>{html.escape(self._runs.name)}</code> yet: '
            "<code>binorm compare digits</code> writes one.</div>"
        )

    def names(self, chosen: str | None) -> Any:
        """The reports there are; the newest is chosen where none was."""
        found = list(find_reports(self._runs))
        return gr.update(choices=found, value=chosen if chosen in found else next(iter(found), None))

    @plainly
    def show(self, name: str | None) -> str:
        """One report."""
        return self._none if name is None else report_frame(self._runs, name)

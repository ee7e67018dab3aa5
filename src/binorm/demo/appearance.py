"""How the page looks: the reports' colours in light and dark, the system's fonts, and nothing that moves by itself."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from binorm.experiments.report.figures.theme import DARK

_ACCENT, _ACCENT_DARK = "#0072b2", "#56b4e9"
_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

_LIGHT_AND_DARK = {  # Gradio's names for colours
    "body_background_fill": ("#ffffff", "#14171a"),
    "body_text_color": ("#1c2126", "#e6e9ec"),
    "body_text_color_subdued": ("#5c6670", "#a3adb8"),
    "background_fill_primary": ("#ffffff", "#14171a"),
    "background_fill_secondary": ("#f5f6f8", "#1c2126"),
    "block_background_fill": ("transparent", "transparent"),
    "block_label_text_color": ("#5c6670", "#a3adb8"),
    "block_title_text_color": ("#1c2126", "#e6e9ec"),
    "block_info_text_color": ("#5c6670", "#a3adb8"),
    "border_color_primary": ("#d5dae0", "#343b43"),
    "border_color_accent": (_ACCENT, _ACCENT_DARK),
    "slider_color": (_ACCENT, _ACCENT_DARK),
    "input_background_fill": ("#ffffff", "#1c2126"),
    "input_border_color": ("#d5dae0", "#343b43"),
    "input_border_color_focus": (_ACCENT, _ACCENT_DARK),
    "checkbox_background_color_selected": (_ACCENT, _ACCENT_DARK),
    "checkbox_border_color_selected": (_ACCENT, _ACCENT_DARK),
    "checkbox_label_background_fill": ("transparent", "transparent"),
    "checkbox_label_background_fill_hover": ("#f5f6f8", "#1c2126"),
    "checkbox_label_background_fill_selected": ("#eaf3f9", "#18303f"),
    "checkbox_label_border_color": ("#d5dae0", "#343b43"),
    "checkbox_label_border_color_selected": (_ACCENT, _ACCENT_DARK),
    "button_secondary_background_fill": ("#f5f6f8", "#1c2126"),
    "button_secondary_background_fill_hover": ("#e9ecf0", "#262d34"),
    "button_secondary_border_color": ("#d5dae0", "#343b43"),
    "button_secondary_text_color": ("#1c2126", "#e6e9ec"),
}

_CSS = """
:root { color-scheme: light; --color-accent: #0072b2 !important; }
.dark { --color-accent: #56b4e9 !important; }
:root:has(body.dark) { color-scheme: dark; }
gradio-app, .gradio-container { overflow: clip visible !important; }
.gradio-container {
  width: 100% !important; max-width: 76rem !important; margin: 0 auto !important; padding: 0 !important;
}
.form { background: transparent !important; border: 0 !important; gap: 1.1rem; overflow: visible; }
.html-container { padding: 0 !important; overflow: visible !important; }
.tabitem { padding: 1.5rem 0 0 !important; }
.gradio-container > main, .gradio-container .main {
  padding: clamp(1rem, 3vw, 2.25rem) clamp(.9rem, 3vw, 2rem) 3rem !important;
}
footer { display: none !important; }
.masthead h1 {
  font-size: clamp(1.5rem, 4vw, 2rem); letter-spacing: -.02em; line-height: 1.2; margin: 0; font-weight: 650;
}
.masthead p, .note, .empty { color: var(--body-text-color-subdued); }
.masthead p { margin: .3rem 0 .4rem; max-width: 46rem; }
.note { font-size: .8125rem; margin: .75rem 0 0; }
.measure { max-width: 46rem; margin: .25rem 0 1.25rem; }
.empty {
  border: 1px dashed var(--border-color-primary); border-radius: 10px; padding: 3rem 1.5rem; text-align: center;
}
.block { border: 0 !important; box-shadow: none !important; }
.block:not(.picture) { padding: 0 !important; }
[data-testid=status-tracker]:has(.error) { display: none !important; }
.sides { gap: clamp(1.25rem, 3vw, 2.5rem) !important; align-items: flex-start; }
.sides > .column { gap: 1.1rem; min-width: min(320px, 100%) !important; }
.picture { border: 1px dashed var(--border-color-primary) !important; border-radius: 10px; }
.examples fieldset, fieldset.examples { display: flex; align-items: center; gap: .75rem; flex-wrap: wrap; }
.examples [data-testid=block-info] { margin: 0; color: var(--body-text-color-subdued); }
.examples label { box-shadow: none; padding: .3rem .7rem; border-radius: 10px; }
.picture .icon-wrap { display: none; }
.picture [data-testid=upload-text] { font-size: .9375rem; line-height: 1.4; padding-top: 1.5rem; }
#network .wrap, #layer .wrap, #report-name .wrap {
  border: 1px solid var(--border-color-primary); border-radius: 8px;
}
.dark input[type=range] { --neutral-200: #343b43; }
input[type=range]::-webkit-slider-thumb { box-shadow: 0 0 0 1px #8f99a3, 0 1px 3px rgb(0 0 0 / 25%); }
input[type=range]:focus-visible, button:focus-visible, a:focus-visible {
  outline: 2px solid var(--color-accent); outline-offset: 3px;
}
label:has(input[type=radio]:focus-visible) { outline: 2px solid var(--color-accent); outline-offset: 2px; }
#styles .wrap { display: grid; grid-template-columns: 1fr; gap: .4rem; }
#styles label {
  border-radius: 10px; padding: .35rem .7rem .35rem .35rem; gap: .7rem; box-shadow: none; align-items: center;
}
#styles label::before { flex: none; width: 52px; height: 52px; border-radius: 7px; background-size: cover; }
#styles label input { position: absolute; opacity: 0; pointer-events: none; }
#styles label span { margin: 0; white-space: normal; line-height: 1.35; }
#explanation p { margin: 0; min-height: 4.4em; color: var(--body-text-color-subdued); font-size: .9375rem; }
#explanation strong { color: var(--body-text-color); }
.comparison { margin: 0; }
.comparison .frame {
  position: relative; width: min(100%, calc(72vh * var(--ratio))); margin: 0 auto; border-radius: 10px;
  overflow: hidden; background: var(--background-fill-secondary);
}
.comparison img { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; }
.comparison .before { clip-path: inset(0 calc(100% - var(--divider, 50%)) 0 0); }
.comparison .divider {
  position: absolute; top: 0; bottom: 0; left: var(--divider, 50%); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 6px rgb(0 0 0 / 45%); pointer-events: none;
}
.comparison .divider::after {
  content: "\\2194"; position: absolute; top: 50%; left: 50%; width: 34px; height: 34px; margin: -17px;
  border-radius: 50%; background: #fff; color: #1c2126; font-size: 18px; line-height: 33px; text-align: center;
  box-shadow: 0 1px 6px rgb(0 0 0 / 40%);
}
.comparison input {
  position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize;
  touch-action: pan-y;
}
.comparison .frame:has(input:focus-visible) { outline: 2px solid var(--color-accent); outline-offset: 3px; }
.comparison figcaption {
  color: var(--body-text-color-subdued); font-size: .8125rem; margin-top: .5rem; text-align: center;
}
#download { width: auto; align-self: center; padding-inline: 1.4rem; font-weight: 500; }
.figures, .channels {
  display: grid; gap: 1.5rem 2rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr));
  align-items: end;
}
.figures figure, #layer-histogram figure { margin: 0; }
.figures svg, #layer-histogram svg { display: block; width: 100%; height: auto; max-width: 26rem; }
.channel { margin: 0; display: grid; grid-template-columns: repeat(3, 1fr); gap: .3rem; }
.channel figcaption { grid-column: 1 / -1; font-size: .875rem; font-variant-numeric: tabular-nums; }
.channel img { width: 100%; height: auto; margin: 0; border-radius: 4px; image-rendering: pixelated; }
.channel span {
  display: block; color: var(--body-text-color-subdued); font-size: .75rem; line-height: 1.3; margin-top: .2rem;
}
iframe.report {
  display: block; width: 100%; height: 78vh; border: 1px solid var(--border-color-primary); border-radius: 10px;
  background: transparent; color-scheme: light;
}
.dark iframe.report { color-scheme: dark; }
@media (max-width: 48rem) {
  .stage { display: contents; }
  #result {
    position: sticky; top: 0; z-index: 60; background: var(--background-fill-primary) !important;
    padding-block: .5rem !important;
  }
  .comparison .frame { width: min(100%, calc(42vh * var(--ratio))); }
  .channels { grid-template-columns: 1fr; }
}
"""

# The arrow keys on a slider end like a drag does: with an event that says where it was let go.
KEYS = """
() => document.addEventListener('keyup', (event) => {
  if (event.target.matches('.gradio-container input[type=range], .gradio-container input[type=number]'))
    event.target.dispatchEvent(new PointerEvent('pointerup', { bubbles: true }));
})
"""


def theme() -> gr.themes.Base:
    """Gradio's plain theme in the reports' colours; its fonts are the system's, so none is fetched."""
    settings: dict[str, Any] = {}
    for name, (light, dark) in _LIGHT_AND_DARK.items():
        settings |= {name: light, f"{name}_dark": dark}
    made = gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        font=[gr.themes.Font(name) for name in _SANS],
        font_mono=[gr.themes.Font(name) for name in _MONO],
    )
    return made.set(**settings)


def css(thumbnails: Mapping[str, str]) -> str:
    """The page's style sheet.

    Args:
        thumbnails: data URIs of small pictures, one a style, in the order of the styles.
    """
    rules = [
        f'#styles label:nth-of-type({place})::before {{ content: ""; background-image: url("{uri}"); }}'
        for place, uri in enumerate(thumbnails.values(), start=1)
    ]
    # Figures follow what the system prefers; Gradio can be told otherwise in the address.
    figures = [
        f'.dark svg [style*="{kind}: {light}"] {{ {kind}: {dark} !important; }}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    ]
    return _CSS + "\n".join(rules + figures)

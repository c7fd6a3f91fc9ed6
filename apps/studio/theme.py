"""The studio's theme: system fonts only, so that the page needs no network."""

import gradio as gr

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Calm teal on grey, soft corners."""
    return gr.themes.Soft(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="md",
        spacing_size="sm",
        font=_FONTS,
        font_mono=_MONO,
    ).set(
        # Soft's tinted labels are loud, and its teal on white is too pale to read (WCAG requires 4.5 : 1).
        background_fill_primary="*neutral_50",
        block_background_fill="white",
        block_title_background_fill="transparent",
        block_title_padding="0",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
    )


CSS = """
.gradio-container { width: 100%; max-width: 1240px !important; margin: 0 auto !important;
  padding: 0 !important; }
.gradio-container .main { padding: 1rem clamp(0.75rem, 4vw, 2rem) !important; }
.gradio-container table, .gradio-container td, .gradio-container th, .gradio-container tr {
  border: none !important; background: none !important; }
.tabs button[role="tab"].selected { color: var(--primary-700); }
.dark .tabs button[role="tab"].selected { color: var(--primary-300); }
.ms-controls { align-items: flex-end; }
.ms-controls > button { margin-bottom: 0.6rem; }
.ms-drop { display: flex; flex-direction: column; gap: 0.3rem; padding: 1.4rem 1rem; border-radius: 10px;
  border: 2px dashed var(--border-color-primary); background: var(--block-background-fill); cursor: pointer;
  text-align: center; color: var(--body-text-color); }
.ms-drop:hover, .ms-drop:focus-within { border-color: var(--primary-600); }
.ms-drop input { position: absolute; opacity: 0; width: 1px; height: 1px; }
.ms-drop small { color: var(--body-text-color-subdued); }
.ms-head h1 { font-size: 1.5rem; font-weight: 650; margin: 0; letter-spacing: -0.01em; }
.ms-head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0.2rem 1rem; }
.ms-head p { margin: 0; color: var(--body-text-color-subdued); }
.ms-message { margin: 0.35rem 0; padding: 0.45rem 0.8rem; border-radius: 8px; border-left: 4px solid;
  line-height: 1.4; font-size: 0.92rem; color: var(--body-text-color); }
.ms-note { border-color: var(--primary-500); background: var(--background-fill-secondary); }
.ms-warning { border-color: #d99000; background: color-mix(in srgb, #d99000 12%, transparent); }
.ms-error { border-color: #c0392b; background: color-mix(in srgb, #c0392b 12%, transparent); }
.ms-detail { border-color: transparent; color: var(--body-text-color-subdued); font-size: 0.85rem; }
.ms-empty { border: 1px dashed var(--border-color-primary); color: var(--body-text-color-subdued); }
.ms-picture { margin: 0; max-width: 380px; }
.ms-picture img { display: block; width: 100%; height: auto; border-radius: 10px; }
.ms-picture figcaption { display: flex; justify-content: space-between; gap: 1rem; padding-top: 0.4rem;
  font-size: 0.95rem; color: var(--body-text-color); overflow-wrap: anywhere; }
.ms-picture figcaption a { color: var(--primary-700); text-decoration: underline; white-space: nowrap; }
.dark .ms-picture figcaption a { color: var(--primary-300); }
.ms-picture .ms-legend { border-radius: 4px; margin-top: 0.4rem; max-width: 320px; }
.ms-curve { --chart-paper: #ffffff; background: var(--chart-paper); border-radius: 10px; padding: 0.3rem; }
.dark .ms-curve { --chart-paper: #1e293b; --chart-ink: #cbd5e1; --chart-axis: #64748b; --chart-grid: #334155;
  --chart-marker: #5eead4; }
.ms-narrow { display: none; }
.ms-curve svg { display: block; width: 100%; height: auto; }
.ms-bars { width: 100%; border-collapse: collapse; font-size: 0.92rem; color: var(--body-text-color); }
.ms-bars thead { font-size: 0.78rem; color: var(--body-text-color-subdued); }
.ms-bars th { font-weight: 500; text-align: left; padding: 0.16rem 0.6rem 0.16rem 0; }
.ms-bars th small { display: block; font-size: 0.72rem; font-weight: 400;
  color: var(--body-text-color-subdued); }
.ms-bars .ms-first th, .ms-bars .ms-first .ms-number { font-weight: 700; }
.ms-bars .ms-number { text-align: right; white-space: nowrap; padding: 0 0 0 0.7rem;
  font-variant-numeric: tabular-nums; }
.ms-bars .ms-first .ms-spread, .ms-bars .ms-spread { font-weight: 400;
  color: var(--body-text-color-subdued); }
.ms-track { width: 52%; }
.ms-track div { position: relative; height: 0.85rem; border-radius: 4px; overflow: hidden;
  background: color-mix(in srgb, var(--body-text-color) 9%, transparent); }
.ms-track span { position: absolute; }
.ms-bar { left: 0; top: 0; bottom: 0; border-radius: 4px; opacity: 0.85; }
.dark .ms-bar { box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--body-text-color) 60%, transparent); }
.ms-range { top: calc(50% - 1px); height: 2px; min-width: 2px; background: var(--body-text-color); }
.ms-attribution { display: flex; flex-wrap: wrap; gap: 0.6rem 1.4rem; align-items: flex-start; }
.ms-attribution > figure { flex: 1 1 260px; max-width: 380px; }
.ms-attribution > div { flex: 1 1 260px; font-size: 0.92rem; color: var(--body-text-color); }
.ms-attribution h3 { margin: 0 0 0.3rem; font-size: 1.05rem; }
.ms-attribution p { margin: 0 0 0.5rem; line-height: 1.45; }
.ms-facts { border-collapse: collapse; font-size: 0.9rem; color: var(--body-text-color); }
.ms-facts th, .ms-facts td { text-align: left; padding: 0.15rem 1.2rem 0.15rem 0; vertical-align: top; }
.ms-facts th { font-weight: 500; }
.gradio-container :is(input, button, a, summary, [tabindex]):focus-visible {
  outline: 3px solid var(--primary-600) !important; outline-offset: 2px !important; }
.dark .gradio-container :is(input, button, a, summary, [tabindex]):focus-visible,
.gradio-container.dark :is(input, button, a, summary, [tabindex]):focus-visible {
  outline-color: var(--primary-300) !important; }
/* A long name ends before the arrow. */
.gradio-container input[role="combobox"] { padding-right: 1.6rem; text-overflow: ellipsis; }
/* Gradio leaves the list of a dropdown open when Tab leaves it. */
.gradio-container .block:not(:focus-within) [role="listbox"] { display: none !important; }
.ms-drop:focus-within { outline: 3px solid var(--primary-600); outline-offset: 2px; }
@media (max-width: 520px) { .ms-wide { display: none; } .ms-narrow { display: block; }
  .ms-bars .ms-spread { display: none; } .ms-track { width: 46%; } }
"""

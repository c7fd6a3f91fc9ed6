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

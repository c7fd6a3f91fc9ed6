"""The page, and its server on this machine."""

from html import escape

import gradio as gr

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio import figures
from morphoscope.apps.studio.tabs.classify import CLASSIFY, MAX_UPLOAD, classify_tab
from morphoscope.apps.studio.tabs.morph import morph_tab
from morphoscope.apps.studio.theme import CSS, theme
from morphoscope.apps.studio.words import PURPOSE, mismatch_notice, model_facts, phantom_notice
from morphoscope.classify import Ensemble
from morphoscope.configs import UserError
from morphoscope.generate import GeneratorModel
from morphoscope.runtime.terminal import say

TITLE = "Morphoscope"
_CACHE_SECONDS = 60  # an upload that was never read is removed after this time


def build(generator: GeneratorModel, ensemble: Ensemble, *, title: str = TITLE) -> gr.Blocks:
    """The studio's page for a pair of models; nothing is computed until someone opens it.

    Serve it with `launch`, which also sets the theme and the limits on uploads.

    Raises:
        UserError: the ensemble predicts from pairs of photographs, while the studio shows one at a time.
    """
    if ensemble.dual:
        raise UserError(
            "The studio takes one image at a time, but this ensemble predicts from pairs of a focused and a "
            "panoramic photograph. Use `morphoscope classify predict`, or an ensemble of single images."
        )
    workbench = Workbench(generator, ensemble)
    page = gr.Blocks(title=title, analytics_enabled=False, delete_cache=(_CACHE_SECONDS, _CACHE_SECONDS))
    with page:
        gr.HTML(_head(title, workbench), elem_id="head")
        with gr.Tabs() as tabs:
            with gr.Tab("Morph", id="morph"):
                morph = morph_tab(workbench, page)
            with gr.Tab("Classify", id=CLASSIFY):
                classify_tab(workbench, morph, tabs)
        with gr.Accordion("About these models", open=False):
            gr.HTML(_facts(workbench), elem_id="facts")
    return page


def launch(page: gr.Blocks, *, host: str = "127.0.0.1", port: int = 7860, block: bool = True) -> str:
    """Serve a page of `build`, by default to this machine only, and return its address.

    It is never shared through a third party's server, and no history of inputs is kept, here or in the
    browser.

    Args:
        block: print the address and wait for Ctrl+C; else serve in the background until `page.close()`.

    Raises:
        UserError: the port is taken or not allowed.
    """
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            share=False,
            ssr_mode=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            max_file_size=MAX_UPLOAD,
            quiet=True,
            theme=theme(),
            css=CSS,
        )
    except OSError as error:  # Gradio's own message suggests a variable that has no effect here
        raise UserError(f"Port {port} on {host} cannot be opened; choose another port.") from error
    if block:
        say(f"{page.title}: {address} (press Ctrl+C to stop)")
        page.block_thread()
    return address


def _head(title: str, workbench: Workbench) -> str:
    notices = [notice for notice in (phantom_notice(workbench), mismatch_notice(workbench)) if notice]
    boxes = "".join(figures.message(notice, "warning") for notice in notices)
    return f'<header class="ms-head"><h1>{escape(title)}</h1><p>{escape(PURPOSE)}</p></header>{boxes}'


def _facts(workbench: Workbench) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in model_facts(workbench)
    )
    return f'<table class="ms-facts"><tbody>{rows}</tbody></table>'

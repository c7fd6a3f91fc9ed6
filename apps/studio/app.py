"""The page, and how it is served."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio import figures
from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.server import Server
from morphoscope.apps.studio.tabs.classify import CLASSIFY, classify_tab
from morphoscope.apps.studio.tabs.morph import morph_tab
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.apps.studio.words import PURPOSE, mismatch_notice, model_facts, phantom_notice
from morphoscope.classify import Ensemble
from morphoscope.configs import UserError
from morphoscope.generate import GeneratorModel
from morphoscope.runtime.terminal import say

TITLE = "Morphoscope"
_MOST_WAITING = 200  # requests, of all sessions together


class StudioPage(gr.Blocks):
    """The page, with the models behind it and the uploads that its handlers read."""

    def __init__(self, title: str, workbench: Workbench) -> None:
        super().__init__(title=title, analytics_enabled=False)
        self.workbench = workbench
        self.uploads = Uploads()
        self.actions = Actions(workbench, self.uploads)


def build(generator: GeneratorModel, ensemble: Ensemble, *, title: str = TITLE) -> StudioPage:
    """The studio's page for a pair of models; nothing is computed until someone opens it.

    Serve it with `serve` or `launch`.

    Raises:
        UserError: the ensemble predicts from pairs of photographs, while the studio shows one at a time.
    """
    if ensemble.dual:
        raise UserError(
            "The studio takes one image at a time, but this ensemble predicts from pairs of a focused and a "
            "panoramic photograph. Use `morphoscope classify predict`, or an ensemble of single images."
        )
    workbench = Workbench(generator, ensemble)
    page = StudioPage(title, workbench)
    with page:
        gr.HTML(_head(title, workbench), elem_id="head")
        with gr.Tabs() as tabs:
            with gr.Tab("Morph", id="morph"):
                morph = morph_tab(page.actions)
            with gr.Tab("Classify", id=CLASSIFY):
                classify_tab(page.actions, morph, tabs)
        with gr.Accordion("About these models", open=False):
            gr.HTML(_facts(workbench), elem_id="facts")
    return page.queue(max_size=_MOST_WAITING)


def serve(
    page: StudioPage, *, host: str = "127.0.0.1", port: int = 7860, names: Sequence[str] = ()
) -> Server:
    """Serve a page of `build` in the background, by default to this machine only.

    It is never shared through a third party's server, and no history of inputs is kept, here or in the
    browser.

    Args:
        host, port, names: as for `Server`.

    Raises:
        UserError: the port is taken or not allowed.
    """
    return Server(page, page.uploads, host=host, port=port, names=names)


def launch(page: StudioPage, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Try the models, serve a page as `serve` does, print its address, and wait for Ctrl+C.

    Raises:
        UserError: the port is taken or not allowed.
    """
    say("Preparing the models …")
    page.workbench.prepare()
    server = serve(page, host=host, port=port)
    say(f"{page.title}: {server.address} (press Ctrl+C to stop)")
    try:
        server.wait()
    except KeyboardInterrupt:
        server.close()


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

"""The page, and how it is served."""

import os
from collections.abc import Sequence
from html import escape

import gradio as gr

from morphoscope.apps.gallery import NO_GALLERIES, Galleries
from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio import figures
from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.api import Api
from morphoscope.apps.studio.classify import Classify
from morphoscope.apps.studio.explore import Explore
from morphoscope.apps.studio.face_words import gallery_facts
from morphoscope.apps.studio.faces import Faces
from morphoscope.apps.studio.learn import Learn
from morphoscope.apps.studio.server import PASSWORD, Server
from morphoscope.apps.studio.tabs.classify import classify_tab
from morphoscope.apps.studio.tabs.explore import explore_tab
from morphoscope.apps.studio.tabs.faces import faces_tab
from morphoscope.apps.studio.tabs.learn import learn_tab
from morphoscope.apps.studio.tabs.models import models_tab
from morphoscope.apps.studio.tabs.morph import morph_tab
from morphoscope.apps.studio.tabs.teach import teach_tab
from morphoscope.apps.studio.teach import Teach
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.apps.studio.words import mismatch_notice, phantom_notice
from morphoscope.apps.texts import text
from morphoscope.classify import Ensemble
from morphoscope.classify.gestalt import Gestalt
from morphoscope.generate import GeneratorModel
from morphoscope.runtime.terminal import say

TITLE = "Morphoscope"
_MOST_WAITING = 200  # requests, of all sessions together


class StudioPage(gr.Blocks):
    """The page, with the models behind it and the uploads that its handlers read."""

    def __init__(
        self, title: str, workbench: Workbench, galleries: Galleries, gestalt: Gestalt | None
    ) -> None:
        super().__init__(title=title, analytics_enabled=False)
        self.workbench = workbench
        self.uploads = Uploads()
        self.actions = Actions(workbench, self.uploads)
        self.explore = Explore(workbench)
        self.classify = Classify(self.actions, self.explore, galleries.training)
        self.learn = Learn(workbench, galleries.quiz)
        self.teach = Teach(workbench, self.learn)
        self.faces = Faces(self.uploads, gestalt, workbench.turn)


def build(
    generator: GeneratorModel,
    ensemble: Ensemble,
    galleries: Galleries = NO_GALLERIES,
    *,
    gestalt: Gestalt | None = None,
    title: str = TITLE,
) -> StudioPage:
    """The studio's page for a pair of models; nothing is computed until someone opens it.

    Serve it with `serve` or `launch`.

    Args:
        galleries: photographs or phantoms that the page may show.
        gestalt: a gallery of faces with its encoder, for the tab Faces.
    """
    workbench = Workbench(generator, ensemble)
    page = StudioPage(title, workbench, galleries, gestalt)
    with page:
        gr.HTML(_head(title, workbench), elem_id="head")
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab(text("tab.morph"), id="morph"):
                morph_tab(page.actions)
            with gr.Tab(text("tab.explore"), id="explore"):
                explore_tab(page.actions, page.explore)
            with gr.Tab(text("tab.classify"), id="classify"):
                classify_tab(page.actions, page.classify)
            with gr.Tab(text("tab.faces"), id="faces"):
                faces_tab(page.actions, page.faces)
            with gr.Tab(text("tab.learn"), id="learn"):
                learn_tab(page.actions, page.learn)
            with gr.Tab(text("tab.teach"), id="teach"):
                teach_tab(page.actions, page.teach)
            with gr.Tab(text("tab.models"), id="models"):
                models_tab(workbench, [] if gestalt is None else gallery_facts(gestalt))
        Api(page.actions, page.explore, page.classify, page.learn, page.teach, page.faces).publish()
    return page.queue(max_size=_MOST_WAITING)


def serve(
    page: StudioPage,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    names: Sequence[str] = (),
    password: str | None = None,
) -> Server:
    """Serve a page of `build` in the background, by default to this machine only.

    It is never shared through a third party's server, and no history of inputs is kept, here or in the
    browser.

    Args:
        host, port, names, password: as for `Server`.

    Raises:
        UserError: as for `Server`.
    """
    return Server(page, page.uploads, host=host, port=port, names=names, password=password)


def launch(page: StudioPage, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Try the models, serve a page as `serve` does, print its address, and wait for Ctrl+C.

    The password is that of the variable MORPHOSCOPE_PASSWORD, if it is set.

    Raises:
        UserError: as for `Server`.
    """
    say(text("page.preparing"))
    page.workbench.prepare()
    server = serve(page, host=host, port=port, password=os.environ.get(PASSWORD))
    say(text("page.served", title=page.title, address=server.address))
    try:
        server.wait()
    except KeyboardInterrupt:
        server.close()


def _head(title: str, workbench: Workbench) -> str:
    notices = [notice for notice in (phantom_notice(workbench), mismatch_notice(workbench)) if notice]
    boxes = "".join(figures.message(notice, "warning") for notice in notices)
    purpose = escape(text("page.purpose"))
    return f'<header class="ms-head"><h1>{escape(title)}</h1><p>{purpose}</p></header>{boxes}'

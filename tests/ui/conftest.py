"""The studio, served with tiny untrained models, and a headless browser; skipped without Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from phantom_faces import phantom_gestalt
from playwright.sync_api import Browser, Page, expect
from studio_models import tiny_generator

from morphoscope.apps.gallery import Galleries, Gallery
from morphoscope.apps.studio import build, serve
from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.inputs.tensors import to_tensor
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.cohort import phantom_image
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.generate import GeneratorModel

CONDITIONS = ["dark", "pale", "red"]
GALLERY = Gallery(
    CONDITIONS * 2,
    ["focused"] * 3 + ["panoramic"] * 3,
    ["0"] * 6,
    lambda number: phantom_image("ML", number, size=32).image,
)
PATIENCE = 120
"""Seconds until an expectation of the browser fails: a shared core may stand still for half a minute."""


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running studio; its uploads go to a folder of this session."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        generator = tiny_generator(folder, CONDITIONS)
        page = build(generator, _ensemble(generator), Galleries(GALLERY, GALLERY), gestalt=phantom_gestalt())
        server = serve(page, port=0)
        yield server.address
        server.close()


@pytest.fixture(scope="session")
def uploads(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where Gradio puts uploads."""
    return tmp_path_factory.getbasetemp() / "studio0" / "uploads"


@pytest.fixture(scope="session")
def open_page(browser: Browser, address: str) -> Callable[..., Page]:
    """open_page("tab=learn", **options of the page) -> the studio at that address, with patience."""

    def opened(query: str = "", **options: Any) -> Page:
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        page.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        page.goto(f"{address}?{query}")
        return page

    return opened


@pytest.fixture(scope="class")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The studio, opened again for each class of tests, with all frames of its first morph."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(1000 * PATIENCE)
    expect.set_options(timeout=1000 * PATIENCE)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    opened.wait_for_selector("[data-frames=all]")
    yield opened
    opened.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == [], "asked elsewhere"


def _ensemble(generator: GeneratorModel) -> Ensemble:
    config = EnsembleTraining(
        backbone="test_efficientnet", resolution=32, weights="none", epochs=1, batch=4, learning_rate=1e-3
    )
    models = {}
    for fold in ("0", "1"):
        torch.manual_seed(int(fold))
        models[fold] = ConditionClassifier(config, len(CONDITIONS))
        _tell_apart(models[fold], generator)
    metadata = EnsembleMetadata(
        cohort_digest="0" * 16, phantom=True, config=config, conditions=CONDITIONS, folds=list(models)
    )
    return Ensemble(metadata, models)


@torch.no_grad()
def _tell_apart(model: ConditionClassifier, generator: GeneratorModel) -> None:
    """Scale the untrained head so that its answer differs along the morphs of this generator."""
    frames = np.concatenate([generator.morph("dark", "pale", seed, 3) for seed in range(4)])
    head = model.backbone.get_submodule("classifier")
    assert isinstance(head, torch.nn.Linear)
    pixels = torch.nn.functional.interpolate(to_tensor(frames, torch.device("cpu")), size=32)
    logits = model.eval()(pixels)
    head.weight *= 2 / logits.std(dim=0)[:, None]
    head.bias.zero_()
    head.bias -= model(pixels).mean(dim=0)

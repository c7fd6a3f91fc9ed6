"""What may be asked of the shorter commands; each resolved config is written into its run folder."""

from typing import Annotated, Literal

from pydantic import Field

from morphoscope.configs.attribution import AttributionSettings, Method
from morphoscope.configs.generator import DEFAULT_NETWORK
from morphoscope.configs.schema import Config
from morphoscope.configs.views import PairedView, View

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Rows = Literal["test", "out_of_fold", "all"]
Compared = Literal["test", "training", "all"]
Truncation = Annotated[float, Field(ge=0, le=2, description="psi: 1 is none, 0 the condition's mean image")]


class PhantomDrawing(Config):
    """`cohort phantom`."""

    per_condition: int = Field(60, ge=1, le=10_000, description="images of each of the seven conditions")
    size: int = Field(128, ge=32, le=1024, description="pixels")
    seed: Seed = 0


class Splitting(Config):
    """`cohort split`."""

    folds: int = Field(5, ge=2, le=100)
    test: float = Field(0.2, ge=0, lt=1, description="share of the groups kept for testing")
    seed: Seed = 0


class Sampling(Config):
    """`generate sample`."""

    conditions: list[str] = Field([], description="all of the generator's if empty")
    count: int = Field(8, ge=1, le=10_000, description="images of each condition")
    seed: Seed = Field(0, description="of the first image; the next ones follow")
    psi: Truncation = 0.7


class Morphing(Config):
    """`generate morph`."""

    steps: int = Field(9, ge=2, le=1000, description="frames")
    seed: Seed = 0
    psi: Truncation = 0.7


class Augmenting(Config):
    """`generate augment`."""

    per_condition: int = Field(100, ge=1, le=100_000, description="synthetic images of each condition")
    view: View | None = Field(
        None, description="for the manifest; if not given, the one view that was learnt from, or other"
    )
    seed: Seed = 0
    psi: Truncation = 1.0


class Measuring(Config):
    """`generate metrics`."""

    rows: Compared = Field(
        "test", description="real images to compare with: the test fold; those trained on; or every one"
    )
    images: int = Field(100, ge=4, le=100_000, description="generated, of each condition")
    network: str = Field(
        DEFAULT_NETWORK, description="whose features are compared; or a file of Inception weights"
    )
    seed: Seed = 0
    psi: Truncation = 1.0


class Evaluating(Config):
    """`classify evaluate`."""

    rows: Rows = Field(
        "test", description="the test fold; every image by the fold that has not seen it; or every image"
    )
    view: PairedView | None = Field(
        None,
        description="only these images; if not given, those the ensemble was trained on, or all; an ensemble "
        "of pairs judges whole pairs, or with a view these images alone",
    )
    test_time: Literal[1, 8] | None = Field(
        None, description="views of an image whose probabilities are averaged; the ensemble's if not given"
    )


class Explaining(AttributionSettings):
    """`classify explain`."""

    method: Method = "integrated_gradients"

"""What may be asked of attribution: the methods, their settings, and how they are compared."""

from typing import Annotated, Literal

from pydantic import Field

from morphoscope.configs.loading import Config
from morphoscope.configs.views import PairedView

Method = Literal["integrated_gradients", "smoothgrad", "gradcam", "occlusion"]
Baseline = Literal["mean", "black", "white", "blurred", "average"]
AVERAGED: tuple[Baseline, ...] = ("mean", "black", "white", "blurred")
"""The baselines whose maps the one of "average" is the mean of."""


class AttributionSettings(Config):
    """Settings of all methods; each uses its own."""

    baseline: Baseline = Field(
        "mean",
        description="integrated gradients, occlusion: what stands for 'nothing there'. Plain in the image's "
        "mean colour, black or white; the image itself, blurred; or the average of the maps of these four",
    )
    steps: int = Field(64, ge=2, le=1000, description="integrated gradients: points of the path integral")
    samples: int = Field(32, ge=1, le=1000, description="smoothgrad: noisy copies of the image")
    noise: float = Field(
        0.15,
        gt=0,
        le=1,
        description="smoothgrad: the noise's deviation as a share of the image's value range",
    )
    window: float = Field(
        0.125,
        gt=0,
        le=0.5,
        description="occlusion: side of the covered square as a share of the image's; it moves by half of it",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="smoothgrad: of the noise")


_NAMED = "^(integrated_gradients|occlusion)(:(mean|black|white|blurred|average))?$|^(smoothgrad|gradcam)$"


class MapComparison(AttributionSettings):
    """`classify attribution`: methods against masks, against the classifier, and against random weights."""

    methods: list[Annotated[str, Field(pattern=_NAMED)]] = Field(
        [
            "integrated_gradients:mean",
            "integrated_gradients:black",
            "integrated_gradients:white",
            "integrated_gradients:blurred",
            "integrated_gradients:average",
            "smoothgrad",
            "gradcam",
            "occlusion",
        ],
        min_length=1,
        description="METHOD or METHOD:BASELINE; without one, that of `baseline`. The average costs nothing "
        "beside all of its four baselines, else as much as they",
    )
    rows: Literal["test", "all"] = Field(
        "test",
        description="which images to draw from: the test fold; or any, of which those that the models were "
        "trained on are marked",
    )
    view: PairedView | None = Field(
        None, description="only these images; those the ensemble was trained on, or all, if not given"
    )
    images: int = Field(
        21, ge=2, le=10_000, description="drawn evenly over the conditions, one a patient; fewer if there are"
    )
    replacement: Literal["blurred", "mean", "black", "white"] = Field(
        "blurred", description="what takes a deleted pixel's place, and an inserted one's before"
    )
    points: int = Field(32, ge=2, le=1000, description="of the deletion and insertion curves")
    cascade: int = Field(
        7,
        ge=0,
        description="on so many of the images layers are drawn anew one stage after the other, from the head "
        "to the input, each of at most six costing one model's map by every method; 0 leaves that out",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**32,
        description="of the choice of images, SmoothGrad's noise, ties and the random weights",
    )

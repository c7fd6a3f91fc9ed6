"""Attribution: the methods, their settings, and how they are compared."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from morphoscope.configs.schema import Config
from morphoscope.configs.views import PairedView

Method = Literal["integrated_gradients", "smoothgrad", "gradcam", "occlusion"]
METHOD_NAMES: dict[Method, str] = {
    "integrated_gradients": "Integrated gradients",
    "smoothgrad": "SmoothGrad",
    "gradcam": "Grad-CAM",
    "occlusion": "Occlusion",
}
"""The methods as people read them."""
SingleBaseline = Literal["mean", "black", "white", "blurred"]
Baseline = Literal[SingleBaseline, "average"]
SINGLE_BASELINES: tuple[SingleBaseline, ...] = get_args(SingleBaseline)
"""The baselines of one image each; the map of "average" is the mean of their maps."""


class AttributionSettings(Config):
    """Settings of all methods; each method uses its own and ignores the others."""

    baseline: Baseline = Field(
        "mean",
        description="integrated gradients, occlusion: the image that stands for 'nothing there'. Uniform in "
        "the image's mean colour, black or white; the image itself, blurred; or 'average', which averages "
        "the maps of these four",
    )
    steps: int = Field(
        64, ge=2, le=1000, description="integrated gradients: number of points of the path integral"
    )
    samples: int = Field(32, ge=1, le=1000, description="smoothgrad: number of noisy copies of the image")
    noise: float = Field(
        0.15,
        gt=0,
        le=1,
        description="smoothgrad: standard deviation of the noise, as a fraction of the image's value range",
    )
    window: float = Field(
        0.125,
        gt=0,
        le=0.5,
        description="occlusion: side of the covered square, as a fraction of the image's side; the square "
        "moves by half its side",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="smoothgrad: random seed of the noise")


_NAMED = "^(integrated_gradients|occlusion)(:(mean|black|white|blurred|average))?$|^(smoothgrad|gradcam)$"


class MapComparison(AttributionSettings):
    """`classify attribution`: compare methods by lesion masks, by the classifier, and by random weights."""

    command: ClassVar[str] = "classify attribution"
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
        description="METHOD or METHOD:BASELINE; without a baseline, `baseline` applies. The average reuses "
        "the maps of the four baselines if all of them are listed; otherwise it takes as long as the four",
    )
    rows: Literal["test", "all"] = Field(
        "test",
        description="which images to draw from: test, the test fold; or all, where images that the models "
        "were trained on are marked",
    )
    view: PairedView | None = Field(
        None,
        description="compare on images of this view only; by default the view that the ensemble was trained "
        "on, or all images if the cohort is another one",
    )
    images: int = Field(
        21,
        ge=2,
        le=10_000,
        description="number of images, drawn evenly over the conditions, one per patient; fewer if the "
        "cohort has fewer",
    )
    replacement: Literal["blurred", "mean", "black", "white"] = Field(
        "blurred",
        description="deletion and insertion: the image that replaces deleted pixels, and pixels not yet "
        "inserted",
    )
    points: int = Field(32, ge=2, le=1000, description="number of steps of the deletion and insertion curves")
    cascade: int = Field(
        7,
        ge=0,
        description="number of images for the cascading randomisation, which re-initialises the layers stage "
        "by stage from the head to the input. Each of its at most six stages costs one map per image and "
        "method; 0 leaves it out",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**32,
        description="random seed of the choice of images, SmoothGrad's noise, the order of ties and the "
        "random weights",
    )

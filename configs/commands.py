"""Settings of the shorter commands; each resolved config is written into its run folder."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from morphoscope.configs.attribution import AttributionSettings, Method
from morphoscope.configs.generator import DEFAULT_NETWORK
from morphoscope.configs.precision import PrecisionOnCpu
from morphoscope.configs.schema import Config
from morphoscope.configs.views import PairedView, View

Rows = Literal["test", "out_of_fold", "all"]
Compared = Literal["test", "training", "all"]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="random seed")]
Truncation = Annotated[
    float,
    Field(
        ge=0,
        le=2,
        description="truncation psi: 1 gives the full variety of the generator; smaller values give images "
        "closer to the mean image of the condition, and 0 gives that image",
    ),
]


_FEATURE_NETWORKS = (
    "efficientnet_lite0; timm:NAME, a model of timm, whose weights are downloaded, or timm:NAME=FILE with "
    "those in a file; ensemble:FILE, the classifiers of an ensemble; or a file of Inception weights"
)

PrintedMark = Annotated[
    bool,
    Field(
        description="print a strip below every single image, which says that it is synthetic and how it was "
        "made; images narrower than 384 pixels are enlarged to keep it readable. Without it they are marked "
        "in their metadata only. Marked images are for showing, not for training a model",
    ),
]


class PhantomDrawing(Config):
    """`cohort phantom`."""

    command: ClassVar[str] = "cohort phantom"
    per_condition: int = Field(60, ge=1, le=10_000, description="images for each of the seven conditions")
    size: int = Field(128, ge=32, le=1024, description="side of the square images in pixels")
    seed: Seed = Field(0, description="random seed; the same seed draws the same images")


class PhantomFaces(Config):
    """`cohort phantom-faces`."""

    command: ClassVar[str] = "cohort phantom-faces"
    people: int = Field(
        42, ge=7, le=10_000, description="phantom people to render, unless a cohort of faces is given"
    )
    images: int = Field(2, ge=1, le=100, description="images per phantom person")
    degree: float = Field(
        1.0, ge=0.01, le=2, description="strength of the changes; 1 is clear to see, and 0.3 hardly"
    )
    seed: Seed = Field(0, description="random seed of the people, and of who gets which syndrome")


class Splitting(Config):
    """`cohort split`."""

    command: ClassVar[str] = "cohort split"
    folds: int = Field(5, ge=2, le=100, description="number of folds, not counting the test fold")
    test: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="fraction of the patients of each condition that becomes the test fold, drawn at random; "
        "0 keeps a test fold that exists",
    )
    seed: Seed = Field(0, description="random seed; the same seed gives the same folds")


class Auditing(Config):
    """`cohort audit`: what is assumed of classifiers that are not trained yet."""

    command: ClassVar[str] = "cohort audit"
    folds: int = Field(5, ge=2, le=100, description="number of folds, if the cohort has none yet")
    test: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="fraction of the patients in the test fold, if the cohort has no folds yet",
    )
    accuracy: float = Field(0.75, gt=0, lt=1, description="accuracy, and recall of each condition, to assume")
    correlation: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="correlation to assume between the correctness of two images of one patient",
    )
    disagreement: float = Field(
        0.15,
        gt=0,
        le=1,
        description="proportion of images to assume of which one of two classifiers is correct and the other "
        "is not",
    )
    seed_variation: float = Field(
        0.015,
        ge=0,
        le=1,
        description="standard deviation to assume between the balanced accuracies of trainings with "
        "different seeds",
    )
    seed: Seed = Field(0, description="random seed of the split and of the simulation")


class Sampling(Config):
    """`generate sample`."""

    command: ClassVar[str] = "generate sample"
    conditions: list[str] = Field([], description="conditions to sample; all conditions if none is given")
    count: int = Field(8, ge=1, le=10_000, description="images per condition")
    seed: Seed = Field(0, description="seed of the first image; the seed increases by 1 per image")
    psi: Truncation = 0.7
    precision: PrecisionOnCpu = "float32"
    printed_mark: PrintedMark = False


class Augmenting(Config):
    """`generate augment`."""

    command: ClassVar[str] = "generate augment"
    per_condition: int = Field(100, ge=1, le=100_000, description="synthetic images per condition")
    view: View | None = Field(
        None,
        description="view to record in the manifest; by default the view that the generator was trained on, "
        "or other if it was trained on all",
    )
    seed: Seed = Field(0, description="seed of the first image; every image has a seed of its own")
    psi: Truncation = 1.0
    precision: PrecisionOnCpu = "float32"
    morphs: bool = Field(
        False,
        description="mix each image's condition, with a random share above one half, with another condition; "
        "classifiers take the mixture as a soft label",
    )
    drop_closer: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="drop images that are closer to a training image than this quantile of the same "
        "distances of held-out real images, e.g. 0.05; needs a cohort. By default none is dropped",
    )
    network: str = Field(
        DEFAULT_NETWORK,
        description=f"network in whose features drop_closer measures distances: {_FEATURE_NETWORKS}",
    )


class Measuring(Config):
    """`generate metrics`."""

    command: ClassVar[str] = "generate metrics"
    rows: Compared = Field(
        "test",
        description="real images to compare with: test, the test fold; training, the images that the "
        "generator was trained on; or all",
    )
    images: int = Field(100, ge=4, le=100_000, description="generated images per condition")
    network: str = Field(
        DEFAULT_NETWORK,
        description=f"network in whose features images are compared: {_FEATURE_NETWORKS}",
    )
    seed: Seed = Field(0, description="seed of the first generated image")
    psi: Truncation = 1.0
    precision: PrecisionOnCpu = "float32"
    perceptual_network: str | None = Field(
        DEFAULT_NETWORK,
        description="network that measures perceptual distances, for the diversity within a condition and "
        "the path length: efficientnet_lite0, lpips (downloads AlexNet's weights), or a file of "
        "torchvision's weights of AlexNet or VGG-16 for LPIPS; null measures neither",
    )
    paths: int = Field(50, ge=2, le=100_000, description="paths per condition for the path length")
    closest_pairs: int = Field(
        0,
        ge=0,
        le=500,
        description="number of generated images to show beside their nearest training images, in "
        "closest-pairs.html. That page shows real images: store and share it under the same rules as the "
        "cohort. 0 writes none",
    )


class Evaluating(Config):
    """`classify evaluate`."""

    command: ClassVar[str] = "classify evaluate"
    rows: Rows = Field(
        "test",
        description="images to evaluate: test, the test fold; out_of_fold, every image by the model that "
        "was not trained on it; or all, for a cohort that no model was trained on",
    )
    view: PairedView | None = Field(
        None,
        description="evaluate images of this view only; by default the view that the ensemble was trained "
        "on (whole pairs for a dual-view ensemble), or all images if the cohort is another one",
    )
    test_time: Literal[1, 8] | None = Field(
        None,
        description="number of orientations of an image whose probabilities are averaged (flips and "
        "transpositions); by default as calibrated",
    )
    prevalence: str | None = Field(
        None,
        description="how frequent the conditions are among the patients whom the probabilities are for: "
        "cohort, as among the training images; uniform, equally frequent; or a table (CSV) with the columns "
        "condition and prevalence; by default what the training assumed, which is printed",
    )


class Comparing(Config):
    """`classify compare`."""

    command: ClassVar[str] = "classify compare"
    rows: Literal["test", "all"] = Field(
        "test",
        description="images to compare on: test, the test fold of the cohort that all ensembles were trained "
        "on; or all, for a cohort that no ensemble was trained on",
    )
    view: PairedView | None = Field(
        None, description="compare on images of this view only; by default as for `classify evaluate`"
    )
    margin: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="balanced accuracies that differ by less than this count as equivalent; choose it before "
        "you look at the results",
    )
    prevalence: str | None = Field(
        None,
        description="frequencies of the conditions that the probabilities of all ensembles are re-expressed "
        "for, as for `classify evaluate`; needed only if their trainings assumed different ones",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="random seed of the bootstrap and of the exchanges")


class Explaining(AttributionSettings):
    """`classify explain`."""

    command: ClassVar[str] = "classify explain"
    method: Method = Field("integrated_gradients", description="attribution method")

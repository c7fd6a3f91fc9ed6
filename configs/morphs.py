"""Settings of the commands that make morphs, and images of several ends at once."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from morphoscope.configs.commands import PrintedMark, Seed, Truncation
from morphoscope.configs.generator import DEFAULT_NETWORK
from morphoscope.configs.precision import PrecisionOnCpu
from morphoscope.configs.schema import Config

Way = Literal["label", "w", "both"]
Interpolation = Literal["linear", "spherical"]
Centre = Literal["condition", "global"]
Film = Literal["none", "mp4", "gif", "both"]

_Way = Annotated[
    Way,
    Field(
        description="what changes along the path: label, the mixture of conditions; w, the intermediate "
        "latent code; both, the mixture, and the code from that of one seed to that of the other"
    ),
]
_Interpolation = Annotated[
    Interpolation,
    Field(
        description="how codes are interpolated: linear, or spherical, which keeps their distance from the "
        "mean"
    ),
]
_Centre = Annotated[
    Centre,
    Field(description="mean that truncation draws images to: of the condition or mixture, or the global one"),
]
_Film = Annotated[
    Film, Field(description="film to write beside the images; every frame says that it is synthetic")
]
_Fps = Annotated[float, Field(gt=0, le=60, description="frames per second of the film")]
_Even = Annotated[
    bool,
    Field(
        description="place the frames so that neighbours are equally far apart in perceptual distance, and "
        "report how even the steps are"
    ),
]
_Network = Annotated[
    str,
    Field(
        description="network that measures the perceptual distance: efficientnet_lite0, lpips (downloads "
        "AlexNet's weights), or a file of torchvision's weights of AlexNet or VGG-16 for LPIPS"
    ),
]


class PathSettings(Config):
    """What all paths between ends have in common."""

    way: _Way = "label"
    interpolation: _Interpolation = "linear"
    centre: _Centre = "condition"
    psi: Truncation = 0.7
    precision: PrecisionOnCpu = "float32"
    seed: Seed = Field(0, description="seed of the ends that name none")


class FilmSettings(PathSettings):
    """What morphs and loops have in common."""

    even: _Even = False
    network: _Network = DEFAULT_NETWORK
    fps: _Fps = 12
    printed_mark: PrintedMark = False


class Morphing(FilmSettings):
    """`generate morph`."""

    command: ClassVar[str] = "generate morph"
    steps: int = Field(9, ge=2, le=1000, description="number of frames, including both ends")
    film: _Film = "none"


class Looping(FilmSettings):
    """`generate loop`."""

    command: ClassVar[str] = "generate loop"
    steps: int = Field(12, ge=2, le=1000, description="number of frames from one end to the next")
    film: _Film = "mp4"


class GridDrawing(PathSettings):
    """`generate grid`."""

    command: ClassVar[str] = "generate grid"
    steps: int = Field(7, ge=2, le=100, description="frames in each row, including both ends")
    count: int = Field(4, ge=1, le=100, description="rows; the seed increases by 1 per row")


class TriangleDrawing(Config):
    """`generate triangle`."""

    command: ClassVar[str] = "generate triangle"
    side: int = Field(5, ge=2, le=20, description="images along each side of the triangle")
    way: Literal["label", "w"] = Field(
        "label", description="what is mixed: the labels of one seed, or the codes of the three corners"
    )
    centre: _Centre = "condition"
    psi: Truncation = 0.7
    precision: PrecisionOnCpu = "float32"
    seed: Seed = Field(0, description="seed of the corners that name none")


class StyleMixing(Config):
    """`generate mix`."""

    command: ClassVar[str] = "generate mix"
    layers: str = Field(
        "4-9",
        description="layers whose styles come from the column, e.g. 0-3 (early: shape and place) or 4-9 "
        "(late: colour and texture)",
    )
    centre: _Centre = "condition"
    psi: Truncation = 0.7
    precision: PrecisionOnCpu = "float32"
    seed: Seed = Field(0, description="seed of the rows and columns that name none")


class DirectionDrawing(Config):
    """`generate directions`."""

    command: ClassVar[str] = "generate directions"
    axes: bool = Field(
        False,
        description="show the axis from the condition of the image to each of the other conditions, instead "
        "of directions found without labels",
    )
    count: int = Field(6, ge=1, le=100, description="number of directions found without labels")
    layers: str | None = Field(None, description="layers whose styles change, e.g. 0-3; by default all")
    steps: int = Field(5, ge=2, le=21, description="images per direction")
    strength: float = Field(
        3.0,
        gt=0,
        le=100,
        description="largest strength, in both senses: in standard deviations of the codes along the "
        "direction; 1 of an axis is the whole way between the two conditions, and it is shown from 0 to 1",
    )
    centre: _Centre = "condition"
    psi: Truncation = 0.7
    precision: PrecisionOnCpu = "float32"
    seed: Seed = Field(0, description="seed of the image, if it names none")

"""Settings of `generate project`."""

from typing import ClassVar, Literal

from pydantic import Field

from morphoscope.configs.commands import Seed
from morphoscope.configs.generator import DEFAULT_NETWORK
from morphoscope.configs.schema import Config

Space = Literal["w", "w_plus", "tuned"]


class Projecting(Config):
    """`generate project`."""

    command: ClassVar[str] = "generate project"
    space: Space = Field(
        "tuned",
        description="where the photograph is sought: w, a code of the generator; w_plus, a code for each "
        "layer; or tuned, a code of w around which the generator's weights are then tuned (pivotal tuning)",
    )
    condition: str | None = Field(
        None, description="condition of the photographs; by default all conditions are searched"
    )
    mixture: bool = Field(
        False, description="optimise the mixture of conditions too, instead of choosing one condition"
    )
    starts: int = Field(
        8,
        ge=1,
        le=256,
        description="optimisations that begin at different codes, as one batch; the best one is continued. "
        "With at least as many starts as conditions, each condition gets one",
    )
    candidates: int = Field(
        64, ge=1, le=10_000, description="generated images per condition among which the starts are chosen"
    )
    search_steps: int = Field(50, ge=1, le=100_000, description="steps of all starts together")
    w_steps: int = Field(150, ge=1, le=100_000, description="further steps of the best start in W")
    w_plus_steps: int = Field(200, ge=1, le=100_000, description="steps in W+, with space=w_plus")
    tuning_steps: int = Field(200, ge=1, le=100_000, description="steps of tuning, with space=tuned")
    noise: bool = Field(
        True, description="optimise the noise maps too, regularised so that they carry no image"
    )
    network: str = Field(
        DEFAULT_NETWORK,
        description="network that measures the perceptual distance: efficientnet_lite0, lpips (downloads "
        "AlexNet's weights), or a file of torchvision's weights of AlexNet or VGG-16 for LPIPS",
    )
    held_out: int = Field(
        20,
        ge=1,
        le=10_000,
        description="held-out photographs of the generator's cohort to project for comparison, with "
        "--cohort; one per patient",
    )
    to: list[str] = Field(
        [], description="conditions to turn the photograph into; all others if none is given"
    )
    morph_steps: int = Field(5, ge=2, le=1000, description="frames of each morph, including both ends")
    film: bool = Field(True, description="write a film of the optimisation")
    seed: Seed = Field(0, description="random seed of the candidates and of the optimisation")

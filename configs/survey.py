"""Settings of `classify survey`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from morphoscope.configs.commands import Seed
from morphoscope.configs.schema import Config

Name = Annotated[str, Field(min_length=1, max_length=60)]


class SurveyBuilding(Config):
    """`classify survey build`."""

    command: ClassVar[str] = "classify survey build"
    surveys: int = Field(10, ge=1, le=1000, description="number of forms")
    per_condition: int = Field(
        2, ge=1, le=100, description="images of each condition in each view (focused, panoramic) per survey"
    )
    conditions: list[Name] = Field(
        [], description="conditions to show and to choose from; if empty, all conditions of the cohort"
    )
    specialties: list[Name] = Field(
        ["pediatrics", "medical genetics", "dermatology", "other"],
        min_length=1,
        description="specialties that participants choose from",
    )
    longest_side: int = Field(768, ge=64, le=2048, description="longest side of the images shown, pixels")
    confidence: bool = Field(True, description="whether to ask how sure participants are of each answer")
    title: str = Field("Survey: which condition is it?", max_length=200, description="title of the forms")
    contact: str = Field(
        "",
        max_length=1000,
        description="who conducts the survey and how to reach them; shown on the first page",
    )
    seed: Seed = 0

    @field_validator("specialties", "conditions")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names):
            raise ValueError("a name occurs twice")
        return names


class SurveyAnalysis(Config):
    """`classify survey analyse`."""

    command: ClassVar[str] = "classify survey analyse"
    rows: Literal["test", "all"] = Field(
        "test",
        description="images that the surveys show: test, the test fold of the cohort that the ensemble was "
        "trained on; or all, another cohort, of patients that no model has seen",
    )
    replicates: int = Field(2000, ge=100, le=100_000, description="number of bootstrap replicates")
    seed: Seed = 0

"""What may be asked of `classify survey`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from morphoscope.configs.commands import Seed
from morphoscope.configs.schema import Config

Name = Annotated[str, Field(min_length=1, max_length=60)]


class SurveyBuilding(Config):
    """`classify survey build`."""

    surveys: int = Field(10, ge=1, le=1000, description="forms")
    per_condition: int = Field(
        2, ge=1, le=100, description="focused images of each condition in a survey, and as many panoramic"
    )
    conditions: list[Name] = Field([], description="all of the cohort's if empty")
    specialties: list[Name] = Field(
        ["pediatrics", "medical genetics", "dermatology", "other"],
        min_length=1,
        description="that participants may choose from",
    )
    longest_side: int = Field(768, ge=64, le=2048, description="of the images shown, pixels")
    confidence: bool = Field(True, description="ask how sure a participant is")
    title: str = Field("Survey: which condition is it?", max_length=200)
    contact: str = Field("", max_length=1000, description="who runs the survey; shown in its notice")
    seed: Seed = 0

    @field_validator("specialties", "conditions")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names):
            raise ValueError("a name occurs twice")
        return names


class SurveyAnalysis(Config):
    """`classify survey analyse`."""

    rows: Literal["test", "all"] = Field(
        "test",
        description="what the surveys' cohort is to the ensemble: that of its training, whose test fold they "
        "show; or, for all, one of patients that no model has seen",
    )
    replicates: int = Field(2000, ge=100, le=100_000, description="of the bootstrap")
    seed: Seed = 0

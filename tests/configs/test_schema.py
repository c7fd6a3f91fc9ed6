"""Fields in groups: both forms mean the same, what is written is flat, and the resume rule on each field."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.configs import UserError, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Sampling
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.configs.schema import GroupedConfig, Resume, fields_marked, fields_of, groups_of

SCHEMAS: list[type[GroupedConfig]] = [GeneratorTraining, ResolvedTraining, EnsembleTraining]
# Values that go together with each other and with the defaults, whichever of them are chosen.
GENERATOR = {
    "resolution": 32,
    "fit": "letterbox",
    "mirror": True,
    "channel_max": 64,
    "conv_clamp": None,
    "kimg": 7.5,
    "batch": 12,
    "tf32": True,
    "gamma": 0.0,
    "augment": None,
    "track": ["tensorboard"],
    "seed": 5,
}
CLASSIFIER = {
    "resolution": 64,
    "view_dropout": 0.1,
    "auxiliary_names": {"naevus": "other"},
    "backbone": "test_vit",
    "freeze_stages": 2,
    "epochs": 3,
    "patience": None,
    "class_balance": 0.5,
    "augmentation": 0.0,
    "mixup": 0.2,
    "seed": 5,
}
CASES: list[tuple[type[GroupedConfig], str, str, dict[str, Any]]] = [
    (GeneratorTraining, "generate", "cpu64", GENERATOR),
    (EnsembleTraining, "classify", "lite", CLASSIFIER),
]


Case = tuple[type[GroupedConfig], dict[str, Any], set[str], dict[str, Any]]


@st.composite
def some_settings(draw: st.DrawFn) -> Case:
    """A schema, values of some of its fields, those that are given in their group, and a preset."""
    schema, family, preset, values = draw(st.sampled_from(CASES))
    chosen = draw(st.sets(st.sampled_from(sorted(values))))
    nested = draw(st.sets(st.sampled_from(sorted(values))))
    return schema, {name: values[name] for name in chosen}, nested, {"family": family, "preset": preset}


def mixed(schema: type[GroupedConfig], values: dict[str, Any], nested: set[str]) -> dict[str, Any]:
    """The values with those in `nested` in their group."""
    whole = schema.grouped({name: value for name, value in values.items() if name in nested})
    return whole | {name: value for name, value in values.items() if name not in nested}


@given(some_settings())
def test_a_field_means_the_same_in_its_group_and_without_it(case: Case) -> None:
    schema, values, nested, preset = case
    base = load_config(schema, **preset)
    expected = base.model_dump() | values
    overrides = []
    for name, value in values.items():
        group = fields_of(schema)[name].group
        key = f"{group}.{name}" if group and name in nested else name
        overrides.append(f"{key}={json.dumps(value)}")
    config = load_config(schema, **preset, overrides=overrides)
    assert config.model_dump() == expected
    assert schema(**expected) == schema(**mixed(schema, expected, nested)) == config
    assert schema(**config.model_dump(mode="json")) == config
    assert base.model_copy(update=values) == config
    assert base.model_copy(update=mixed(schema, values, nested)) == config


@given(some_settings())
def test_a_file_may_use_both_forms(tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    schema, values, nested, preset = case
    file = tmp_path_factory.mktemp("config") / "mine.yaml"
    file.write_text(yaml.safe_dump(mixed(schema, values, nested)), encoding="utf-8")
    expected = load_config(schema, **preset).model_dump() | values
    assert load_config(schema, **preset, file=file).model_dump() == expected


def test_later_sources_win_in_either_form() -> None:
    config = load_config(
        GeneratorTraining, family="generate", preset="cpu64", overrides=["images.resolution=32", "batch=8"]
    )
    assert (config.images.resolution, config.training.batch) == (32, 8)
    again = load_config(GeneratorTraining, overrides=["training.batch=8", "batch=12", "training.kimg=3"])
    assert (again.training.batch, again.training.kimg) == (12, 3)


def test_a_field_given_twice_with_different_values_is_named() -> None:
    assert GeneratorTraining(mirror=True, images={"mirror": True}).images.mirror
    with pytest.raises(ValueError, match="mirror: given twice with different values, False and True"):
        GeneratorTraining(mirror=True, images={"mirror": False})


def test_a_file_that_gives_a_field_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("kimg: 3\ntraining:\n  kimg: 4\n", encoding="utf-8")
    with pytest.raises(UserError, match="kimg: given twice with different values, 4 and 3; give it once"):
        load_config(GeneratorTraining, file=file)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.kimg=-1", "kimg: Input should be greater than 0"),
        ("training.kmig=1", "training.kmig: no such setting; did you mean training.kimg?"),
        ("images.kimg=1", "images.kimg: no such setting; did you mean training.kimg?"),
        ("training=3", "training: Input should be a valid dictionary"),
        ("images.resolution=48", "resolution: should be a power of two from 8 to 1024, not 48"),
    ],
)
def test_bad_grouped_overrides_are_named(override: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        load_config(GeneratorTraining, overrides=[override])
    assert str(error.value).startswith(says)


def test_required_fields_are_named() -> None:
    with pytest.raises(UserError, match=r"resolution: Field required; backbone: Field required"):
        load_config(EnsembleTraining)


def test_only_what_was_given_counts_as_given() -> None:
    config = GeneratorTraining(kimg=3, images={"mirror": True}, seed=1)
    assert config.given == {"kimg", "mirror", "seed"}
    assert config.model_copy(update={"gamma": 2.0}).given == {"kimg", "mirror", "seed", "gamma"}
    assert config.model_dump(exclude_unset=True) == {"kimg": 3, "mirror": True, "seed": 1}
    assert GeneratorTraining(training=config.training).given == {"kimg"}


def test_copies_with_unknown_fields_keep_the_others() -> None:
    config = GeneratorTraining(kimg=3, mirror=True)
    assert config.model_copy(update={"resolution": 128}).model_dump() == config.model_dump() | {
        "resolution": 128
    }
    assert config.model_copy() == config


@pytest.mark.parametrize("schema", SCHEMAS)
def test_names_are_unique_and_every_field_stands_in_a_group_but_the_seed(
    schema: type[GroupedConfig],
) -> None:
    fields, groups = fields_of(schema), groups_of(schema)
    assert sum(len(group.model_fields) for group in groups.values()) + 1 == len(fields)
    assert {name for name, field in fields.items() if not field.group} == {"seed"}
    assert all(group.__doc__ for group in groups.values())


def test_flat_schemas_have_no_groups() -> None:
    assert groups_of(Sampling) == {}
    assert [field.group for field in fields_of(Sampling).values()] == [""] * len(Sampling.model_fields)


def test_the_resume_rule_of_every_field() -> None:
    """As resuming has always been: a run folder of an earlier version resumes under the same rule."""
    assert fields_marked(GeneratorTraining, Resume.MAY_CHANGE) == {
        "kimg", "tick_kimg", "snapshot_ticks", "keep_snapshots", "metric_network", "metric_images", "track",
        "cuda_graphs", "micro_batch", "mbstd_group",
    }  # fmt: skip
    assert fields_marked(GeneratorTraining, Resume.KEEPS_AUTOMATIC) == {
        "batch", "micro_batch", "mbstd_group", "channel_base", "lr", "gamma", "ema_kimg",
        "unconditional_output",
    }  # fmt: skip
    assert fields_marked(GeneratorTraining, Resume.KEEPS_SNAPSHOTS) == {
        "z_dim", "w_dim", "mapping_layers", "channel_base", "channel_max", "g_architecture",
        "d_architecture", "conv_clamp", "transition_start_kimg", "transition_end_kimg",
        "unconditional_output", "ema_rampup", "ada_kimg",
    }  # fmt: skip
    assert fields_marked(EnsembleTraining, Resume.MAY_CHANGE) == {"micro_batch"}
    assert not fields_marked(EnsembleTraining, Resume.KEEPS_AUTOMATIC)
    assert not fields_marked(EnsembleTraining, Resume.KEEPS_SNAPSHOTS)


def test_automatic_fields_are_those_that_resolving_fills() -> None:
    empty = {name for name, value in GeneratorTraining().model_dump().items() if value is None}
    filled = {
        name for name, value in GeneratorTraining().resolved().model_dump().items() if value is not None
    }
    assert empty & filled == fields_marked(GeneratorTraining, Resume.KEEPS_AUTOMATIC)

"""Presets, files and overrides become one checked config, or one sentence that names what to fix."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from morphoscope.configs import UserError, list_presets, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Explaining, Sampling
from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.configs.loading import read_yaml
from morphoscope.configs.schema import GroupedConfig


def flat(config: GroupedConfig) -> SimpleNamespace:
    """Its fields without their groups."""
    return SimpleNamespace(**config.model_dump())


def resolved(preset: str, devices: int = 1, **values: object) -> ResolvedTraining:
    return load_config(GeneratorTraining, family="generate", preset=preset, **values).resolved(devices)


@pytest.mark.parametrize(("view", "rate", "own_weight"), [("focused", 3e-5, 5), ("panoramic", 1e-5, 10)])
def test_published_classifiers(view: str, rate: float, own_weight: float) -> None:
    c = flat(load_config(EnsembleTraining, family="classify", preset=f"paper-{view}"))
    assert (c.learning_rate, c.own_weight) == (rate, own_weight)
    assert (c.backbone, c.weights, c.resolution) == ("tf_efficientnet_b4.ns_jft_in1k", "hub", 448)
    assert (c.head_dropouts, c.dropout, c.freeze_stages) == (5, 0.2, 0)
    assert (c.optimizer, c.weight_decay, c.batch, c.epochs, c.patience) == ("adam", 0, 64, 30, 10)
    assert (c.schedule, c.transforms) == ("paper", "paper")
    # the loss knows no other weights, and targets are as they are
    assert (c.class_balance, c.label_smoothing, c.mixup, c.cutmix, c.ema_decay) == (0, 0, 0, 0, 0)
    assert c.layer_decay == 1


# As published: batch, mbstd group, channel factor on 32768, lr, gamma, EMA kimg, ramp-up, mapping layers.
PUBLISHED = {
    "stylegan2": (32, 4, 1, 0.002, 10, 10, None, 8),
    "paper256": (64, 8, 0.5, 0.0025, 1, 20, None, 8),
    "paper512": (64, 8, 1, 0.0025, 0.5, 20, None, 8),
    "paper1024": (32, 4, 1, 0.002, 2, 10, None, 8),
    "cifar": (64, 32, 1, 0.0025, 0.01, 500, 0.05, 2),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_published_presets(preset: str) -> None:
    c = flat(resolved(preset))
    figures = (
        c.batch,
        c.mbstd_group,
        c.channel_base / 32768,
        c.lr,
        c.gamma,
        c.ema_kimg,
        c.ema_rampup,
        c.mapping_layers,
    )
    assert figures == PUBLISHED[preset]
    assert (c.z_dim, c.w_dim, c.g_interval, c.d_interval, c.ada_target, c.ada_kimg) == (
        512, 512, 4, 16, 0.6, 500,
    )  # fmt: skip
    is_cifar = preset == "cifar"
    assert c.kimg == (100_000 if is_cifar else 25_000)
    assert (c.pl_weight, c.style_mixing) == ((0, 0) if is_cifar else (2, 0.9))
    assert c.d_architecture == ("orig" if is_cifar else "resnet")


@pytest.mark.parametrize(
    ("preset", "resolution"), [("paper256", 256), ("paper512", 512), ("paper1024", 1024)]
)
def test_paper_presets_have_the_resolution_of_their_name(preset: str, resolution: int) -> None:
    assert resolved(preset).images.resolution == resolution


@pytest.mark.parametrize(
    ("resolution", "devices", "batch", "group", "factor", "lr"),
    [
        (64, 1, 32, 4, 0.5, 0.0025),
        (64, 4, 64, 4, 0.5, 0.0025),
        (256, 1, 16, 4, 0.5, 0.0025),
        (256, 8, 64, 4, 0.5, 0.0025),
        (512, 1, 8, 4, 1, 0.0025),
        (1024, 1, 4, 4, 1, 0.002),
        (1024, 2, 8, 4, 1, 0.002),
        (1024, 128, 128, 1, 1, 0.002),
    ],
)
def test_auto_rule(resolution: int, devices: int, batch: int, group: int, factor: float, lr: float) -> None:
    c = flat(resolved("auto", devices, resolution=resolution))
    assert (c.batch, c.mbstd_group, c.channel_base, c.lr) == (batch, group, factor * 32768, lr)
    assert c.gamma == pytest.approx(0.0002 * resolution**2 / batch)
    assert c.ema_kimg == pytest.approx(batch * 10 / 32)
    assert (c.ema_rampup, c.mapping_layers) == (0.05, 2)


def test_resolved_keeps_what_was_given() -> None:
    config = resolved("auto", overrides=["gamma=0", "lr=0.001", "batch=8", "mbstd_group=2"])
    c = flat(config)
    assert (c.gamma, c.lr, c.batch, c.mbstd_group) == (0, 0.001, 8, 2)
    assert config.resolved() == config


def test_processes_share_a_batch_in_micro_batches() -> None:
    c = flat(resolved("auto", 4, overrides=["batch=32", "micro_batch=4"]))
    assert (c.batch, c.micro_batch, c.mbstd_group) == (32, 4, 4)
    assert resolved("auto", 4, overrides=["batch=32"]).training.micro_batch == 8
    with pytest.raises(UserError, match="micro_batch: 3 does not divide the 8 images of each process"):
        resolved("auto", 4, overrides=["batch=32", "micro_batch=3"])
    with pytest.raises(UserError, match="micro_batch: 6 does not divide into groups of 4"):
        resolved("auto", overrides=["batch=12", "micro_batch=6", "mbstd_group=4"])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"transition_start_kimg": 3}, "give both or neither"),
        ({"transition_start_kimg": 3, "transition_end_kimg": 3}, "3 is not before transition_end_kimg, 3"),
        (
            {"conditional": False, "stages": {"b": ["a", "c"]}},
            "no stages, no transition and no second output",
        ),
    ],
)
def test_conditioning_that_does_not_fit(settings: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_config(GeneratorTraining, **settings)


def test_fields_that_clash_once_resolved() -> None:
    largest = resolved("auto", overrides=["batch=6"]).network.mbstd_group
    assert largest == 3  # the largest up to 4 that divides it
    with pytest.raises(UserError, match="batch: 4 images cannot be shared evenly among 8 processes"):
        resolved("auto", 8, overrides=["batch=4"])


@pytest.mark.parametrize("family", ["generate", "classify"])
def test_every_preset_loads(family: str) -> None:
    schema = {"generate": GeneratorTraining, "classify": EnsembleTraining}[family]
    presets = list_presets(family)
    assert {"generate": "cpu64", "classify": "lite"}[family] in presets
    for preset in presets:
        assert isinstance(load_config(schema, family=family, preset=preset), schema)


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("kimg: 7\nbatch: 8\nseed: 1\n")
    c = load_config(
        GeneratorTraining,
        family="generate",
        preset="cpu64",
        file=file,
        overrides=["batch=12", "seed=2"],
        seed=3,
        kimg=None,
    )
    found = (c.loss.gamma, c.training.kimg, c.training.batch, c.seed)
    assert found == (0.1, 7, 12, 3)  # preset, file, override, keyword


def test_override_values_are_yaml() -> None:
    c = load_config(Sampling, overrides=["conditions=[NF1, TSC]", "psi=5e-1", " count = 3"])
    assert (c.conditions, c.psi, c.count) == (["NF1", "TSC"], 0.5, 3)
    assert load_config(GeneratorTraining, overrides=["augment=null"]).augmentation.augment is None


def test_configs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Explaining().steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("kimg", "--set kimg: expected key=value"),
        ("=3", "--set =3: expected key=value"),
        ("kimg=[", "--set kimg=[: the value is not valid YAML"),
        (
            "kmig=3",
            "kmig: no such setting; did you mean training.kimg? `morphoscope settings generate.train`",
        ),
        ("colour=3", "colour: no such setting; `morphoscope settings generate.train` lists all settings"),
        ("kimg=many", "kimg: Input should be a valid number"),
        ("kimg=0", "kimg: Input should be greater than 0"),
        ("kimg=.inf", "kimg: Input should be a finite number"),
        ("conv_clamp=.nan", "conv_clamp: Input should be a finite number"),
        ("seed=4294967296", "seed: Input should be less than 4294967296"),
        ("kimg=2026-13-45", "--set kimg=2026-13-45: the value is not valid YAML"),
        ("batch.size=3", "batch: Input should be a valid integer"),
        ("resolution=96", "resolution: should be a power of two from 8 to 1024, not 96"),
        ("resolution=4", "resolution: should be a power of two from 8 to 1024, not 4"),
        ("fit=stretch", "fit: Input should be 'crop' or 'letterbox'"),
        ("kimg=2024-99-99", "--set kimg=2024-99-99: the value is not valid YAML"),
        ("kimg=.inf", "kimg: Input should be a finite number"),
        ("conv_clamp=.nan", "conv_clamp: Input should be a finite number"),
        ("seed=4294967296", "seed: Input should be less than 4294967296"),
        ("ada_ceiling=1.5", "ada_ceiling: Input should be less than or equal to 1"),
    ],
)
def test_bad_overrides_are_named(override: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        load_config(GeneratorTraining, overrides=[override])
    assert says in str(error.value)


def test_keys_that_are_no_names(tmp_path: Path) -> None:
    file = tmp_path / "numbers.yaml"
    file.write_text("1: 2\n")
    with pytest.raises(UserError, match="1: Keys should be strings"):
        load_config(GeneratorTraining, file=file)


def test_several_problems_are_named_at_once() -> None:
    with pytest.raises(UserError, match=r"kimg: .*; lr: .*; colour: no such setting"):
        load_config(GeneratorTraining, overrides=["kimg=-1", "lr=0", "colour=red"])


def test_batch_and_group_must_fit() -> None:
    with pytest.raises(UserError, match="batch: 10 does not divide into groups of 4"):
        load_config(GeneratorTraining, batch=10, mbstd_group=4)
    with pytest.raises(UserError, match=r"^batch: 4 images cannot be shared evenly among 8 processes"):
        resolved("auto", devices=8, batch=4)
    with pytest.raises(UserError, match=r"^freeze_stages: stages that are not trained need initial weights"):
        load_config(
            EnsembleTraining,
            family="classify",
            preset="lite",
            overrides=["weights=none", "freeze_stages=2"],
        )


@pytest.mark.parametrize("backbone", ["hf-hub:someone/model", "../model", "a/b", "a b"])
def test_backbone_is_a_plain_name(backbone: str) -> None:
    with pytest.raises(UserError, match="backbone"):
        load_config(EnsembleTraining, family="classify", preset="lite", backbone=backbone)


def test_unknown_preset() -> None:
    with pytest.raises(UserError, match=r"Unknown preset 'huge'; choose one of auto, cifar, cpu128, cpu64"):
        load_config(GeneratorTraining, family="generate", preset="huge")
    with pytest.raises(UserError, match=r"Unknown preset '\.\./classify/lite'"):
        load_config(GeneratorTraining, family="generate", preset="../classify/lite")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"kimg: [1", "not valid YAML"),
        (b"kimg: 1\n\tbatch: 2\n", "not valid YAML"),
        (b"kimg: 2024-99-99\n", "not valid YAML"),
        (b"kimg: " + b"1" * 5000, "not valid YAML"),
        (b"kimg: " + b"[" * 600, "not valid YAML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 20_000, "not valid YAML"),
        (b"- kimg\n- batch\n", "expected 'key: value' lines"),
        (b"", "expected 'key: value' lines"),
        (b"# " + b"x" * 100_001, "larger than 100000 bytes"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.yaml: ") as error:
        read_yaml(file)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.yaml: no such file"):
        read_yaml(tmp_path / "gone.yaml")
    with pytest.raises(UserError, match="a folder, not a file"):
        read_yaml(tmp_path)


EXECUTING = '!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ["{}"]]'


def test_yaml_cannot_execute(tmp_path: Path) -> None:
    victim, file = tmp_path / "executed", tmp_path / "evil.yaml"
    file.write_text(f"kimg: {EXECUTING.format(victim)}\n")
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(GeneratorTraining, file=file)
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(GeneratorTraining, overrides=[f"kimg={EXECUTING.format(victim)}"])
    assert not victim.exists()


def test_this_room_imports_no_torch() -> None:
    """A config is checked before anything heavy is loaded."""
    rooms = "morphoscope.configs.generator, morphoscope.configs.classifier, morphoscope.configs.commands"
    code = f"import sys, {rooms}; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"

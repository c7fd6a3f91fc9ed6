"""Which networks a training builds: from its config, or as the snapshot has them that it starts from."""

from collections.abc import Sequence
from typing import Any

from morphoscope.configs.generator import ResolvedTraining
from morphoscope.generate.training.stages import stage_indices


def generator_kwargs(config: ResolvedTraining, conditions: Sequence[str]) -> dict[str, Any]:
    """Keywords of `Generator` for a resolved config; stored with every snapshot."""
    return {
        "z_dim": config.z_dim,
        "c_dim": _label_width(config, conditions),
        "w_dim": config.w_dim,
        "img_resolution": config.resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": config.mapping_layers, **_stages(config, conditions)},
        "synthesis_kwargs": {
            "channel_base": config.channel_base,
            "channel_max": config.channel_max,
            "architecture": config.g_architecture,
            "num_fp16_res": config.num_fp16_res,
            "half_dtype": config.half_dtype,
            "conv_clamp": config.conv_clamp,
        },
    }


def discriminator_kwargs(config: ResolvedTraining, conditions: Sequence[str]) -> dict[str, Any]:
    """Keywords of `Discriminator` for a resolved config; stored with every snapshot."""
    return {
        "c_dim": _label_width(config, conditions),
        "img_resolution": config.resolution,
        "img_channels": 3,
        "architecture": config.d_architecture,
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "num_fp16_res": config.num_fp16_res,
        "half_dtype": config.half_dtype,
        "conv_clamp": config.conv_clamp,
        "mapping_kwargs": _stages(config, conditions),
        "epilogue_kwargs": {
            "mbstd_group_size": config.mbstd_group,
            "unconditional_output": config.unconditional_output,
        },
    }


def adopt_architecture(
    config: ResolvedTraining, generator: dict[str, Any], discriminator: dict[str, Any] | None
) -> tuple[ResolvedTraining, list[str]]:
    """The config with the networks' shape as a snapshot's keywords describe it; resolution may differ.

    A conditional snapshot has its transition behind it, so none begins again.

    Returns:
        The config, and what was changed, each as "field: asked → adopted".
    """
    synthesis, mapping = generator.get("synthesis_kwargs") or {}, generator.get("mapping_kwargs") or {}
    judge = discriminator or {}
    found = {
        "z_dim": generator["z_dim"],
        "w_dim": generator["w_dim"],
        "mapping_layers": mapping.get("num_layers", 8),
        "channel_base": synthesis.get("channel_base", 32768),
        "channel_max": synthesis.get("channel_max", 512),
        "g_architecture": synthesis.get("architecture", "skip"),
        "d_architecture": judge.get("architecture", config.d_architecture),
        "conv_clamp": synthesis.get("conv_clamp"),
    }
    if generator["c_dim"]:
        two_outputs = (judge.get("epilogue_kwargs") or {}).get("unconditional_output", False)
        found |= {
            "transition_start_kimg": None,
            "transition_end_kimg": None,
            "unconditional_output": two_outputs and config.conditional,
        }
    changes = [
        f"{name}: {getattr(config, name)} → {value}"
        for name, value in found.items()
        if getattr(config, name) != value
    ]
    return config.model_copy(update=found), changes


def _label_width(config: ResolvedTraining, conditions: Sequence[str]) -> int:
    return len(conditions) if config.conditional else 0


def _stages(config: ResolvedTraining, conditions: Sequence[str]) -> dict[str, Any]:
    return {"stages": stage_indices(config.stages, list(conditions))} if config.stages else {}

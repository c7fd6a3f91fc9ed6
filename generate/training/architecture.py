"""The networks that a training builds: from its config, or as in the snapshot that it starts from."""

from collections.abc import Sequence
from typing import Any

from morphoscope.configs.generator import GeneratorTraining, ResolvedTraining
from morphoscope.configs.loading import validated
from morphoscope.configs.schema import Resume, fields_marked
from morphoscope.generate.description import MappingKeywords, SnapshotMetadata, SynthesisKeywords
from morphoscope.generate.training.stages import stage_indices


def generator_kwargs(config: ResolvedTraining, conditions: Sequence[str]) -> dict[str, Any]:
    """Keywords of `Generator` for a resolved config; stored with every snapshot."""
    return {
        "z_dim": config.network.z_dim,
        "c_dim": _label_width(config, conditions),
        "w_dim": config.network.w_dim,
        "img_resolution": config.images.resolution,
        "img_channels": config.images.img_channels,
        "mapping_kwargs": {"num_layers": config.network.mapping_layers, **_stages(config, conditions)},
        "synthesis_kwargs": {
            "channel_base": config.network.channel_base,
            "channel_max": config.network.channel_max,
            "architecture": config.network.g_architecture,
            "num_fp16_res": config.network.num_fp16_res,
            "half_dtype": config.network.half_dtype,
            "conv_clamp": config.network.conv_clamp,
        },
    }


def discriminator_kwargs(config: ResolvedTraining, conditions: Sequence[str]) -> dict[str, Any]:
    """Keywords of `Discriminator` for a resolved config; stored with every snapshot."""
    return {
        "c_dim": _label_width(config, conditions),
        "img_resolution": config.images.resolution,
        "img_channels": config.images.img_channels,
        "architecture": config.network.d_architecture,
        "channel_base": config.network.channel_base,
        "channel_max": config.network.channel_max,
        "num_fp16_res": config.network.num_fp16_res,
        "half_dtype": config.network.half_dtype,
        "conv_clamp": config.network.conv_clamp,
        "mapping_kwargs": _stages(config, conditions),
        "epilogue_kwargs": {
            "mbstd_group_size": config.network.mbstd_group,
            "unconditional_output": config.conditions.unconditional_output,
        },
    }


def after_transfer(
    config: GeneratorTraining, snapshot: SnapshotMetadata
) -> tuple[GeneratorTraining, list[str]]:
    """The config of a training that starts from a snapshot with this metadata.

    The networks take their shape from the snapshot; resolution and conditions may differ. A conditional
    snapshot has its transition behind it, so none begins again. Weights of RGB images are converted for grey
    ones and vice versa (`transfer`). Unless the config sets them, the average has
    no ramp-up, since it starts from a trained network, and p may change faster (spec 3).

    Returns:
        The config, and the changed settings, each as "field 64 (was 128)".
    """
    generator, discriminator = snapshot.generator, snapshot.discriminator
    synthesis = generator.synthesis_kwargs or SynthesisKeywords()
    mapping = generator.mapping_kwargs or MappingKeywords()
    found: dict[str, Any] = {
        "z_dim": generator.z_dim,
        "w_dim": generator.w_dim,
        "mapping_layers": mapping.num_layers,
        "channel_base": synthesis.channel_base,
        "channel_max": synthesis.channel_max,
        "g_architecture": synthesis.architecture,
        "d_architecture": config.network.d_architecture
        if discriminator is None
        else discriminator.architecture,
        "conv_clamp": synthesis.conv_clamp,
    }
    if generator.c_dim:
        epilogue = None if discriminator is None else discriminator.epilogue_kwargs
        two_outputs = epilogue is not None and epilogue.unconditional_output
        found["transition_start_kimg"] = found["transition_end_kimg"] = None
        found["unconditional_output"] = two_outputs and config.conditions.conditional
    for name, value in (("ema_rampup", None), ("ada_kimg", min(config.augmentation.ada_kimg, 100))):
        if name not in config.given:
            found[name] = value
    channels = config.images.img_channels
    kept = fields_marked(GeneratorTraining, Resume.KEEPS_SNAPSHOTS)
    assert found.keys() <= kept, "a resumed run would forget it"
    configured = config.model_dump()
    changes = [
        f"{name} {'none' if value is None else value} (was {configured[name]})"
        for name, value in found.items()
        if configured[name] not in (value, None)
    ]
    if generator.img_channels != channels:
        changes.append(
            f"layers at the image, converted to {channels} channels (was {generator.img_channels})"
        )
    return validated(GeneratorTraining, configured | found), changes


def _label_width(config: ResolvedTraining, conditions: Sequence[str]) -> int:
    return len(conditions) if config.conditions.conditional else 0


def _stages(config: ResolvedTraining, conditions: Sequence[str]) -> dict[str, Any]:
    stages = config.conditions.stages
    return {"stages": stage_indices(stages, list(conditions))} if stages else {}

"""Snapshots from anywhere: which metadata are accepted, and which are refused by field."""

import copy

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate import Discriminator, Generator, load
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.snapshots import read_discriminator, read_snapshot_metadata, write_snapshot
from morphoscope.runtime.torch_checkpoints import read_checkpoint, read_metadata, write_checkpoint

ABSENT = object()


def rewritten(snapshot, path, changes, tensors=None):
    """The snapshot with other metadata: {dotted field: value or ABSENT}."""
    stored, metadata = read_checkpoint(snapshot, "generator")
    metadata = copy.deepcopy(metadata)
    for field, value in changes.items():
        *parents, last = field.split(".")
        place = metadata
        for parent in parents:
            place = place[parent]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    write_checkpoint(path, "generator", {**stored, **(tensors or {})}, metadata)
    return path


def test_conditions_are_described_as_recorded(tiny_snapshot, tmp_path):
    assert load(tiny_snapshot).descriptions == {}
    described = [{"name": "dark", "full_name": "dark skin", "code": "X1"}]
    model = load(rewritten(tiny_snapshot, tmp_path / "described.safetensors", {"described": described}))
    assert [one.full_name for one in model.descriptions.values()] == ["dark skin"]
    values = read_metadata(tmp_path / "described.safetensors", "generator")
    assert SnapshotMetadata.from_json(values, tmp_path).as_json()["described"] == described


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("described", [{"full_name": "dark skin"}]),
        ("described", [{"name": "dark", "full_name": "x" * 201}]),
        ("conditions", ABSENT),
        ("conditions", "dark"),
        ("conditions", []),
        ("conditions", ["dark", "dark"]),
        ("conditions", ["dark", ""]),
        ("conditions", ["dark", "pa\nle"]),
        ("conditions", ["dark", "pa\u202ele"]),
        ("conditions", ["dark", "x" * 10_000]),
        ("conditions", ["dark", 3]),
        ("generator", ABSENT),
        ("generator", 7),
        ("generator.c_dim", 3),
        ("generator.img_resolution", 24),
        ("generator.img_resolution", 2**40),
        ("generator.img_resolution", "16"),
        ("generator.img_channels", 2),
        ("generator.z_dim", 10**12),
        ("generator.w_dim", -1),
        ("generator.mapping_kwargs.num_layers", 10**9),
        ("generator.mapping_kwargs.stages", [[0, 1]]),
        ("generator.mapping_kwargs.stages", [[0, 1, 2]]),
        ("generator.mapping_kwargs.stages", [[0, 1, 1]]),
        ("generator.synthesis_kwargs.half_dtype", "float32"),
        ("generator.synthesis_kwargs.channel_max", 10**9),
        ("generator.synthesis_kwargs.architecture", "other"),
        ("generator.unknown", 1),
        ("discriminator.c_dim", True),
        ("discriminator.epilogue_kwargs.mbstd_group_size", 0),
        ("discriminator.epilogue_kwargs.unconditional_output", 1),
        ("discriminator.half_dtype", "half"),
        ("trained_on_folds", ABSENT),
        ("trained_on_folds", "01"),
        ("trained_on_folds", [0, 1]),
        ("cohort_digest", "=cmd()"),
        ("phantom", ABSENT),
        ("phantom", "false"),
        ("started_from", [{"cohort_digest": "ab"}]),
        ("started_from", "someone"),
    ],
)
def test_unusable_metadata_is_refused_by_file_and_field(tiny_snapshot, tmp_path, field, value):
    path = rewritten(tiny_snapshot, tmp_path / "odd.safetensors", {field: value})
    with pytest.raises(UserError, match=r"odd\.safetensors.*" + field.replace(".", r"\.")):
        load(path)


@pytest.mark.parametrize("shape", [(2, 9), (3, 8), (16,), ()])
def test_class_means_of_another_shape_are_refused(tiny_snapshot, tmp_path, shape):
    path = rewritten(tiny_snapshot, tmp_path / "odd.safetensors", {}, {"w_class": torch.zeros(shape)})
    with pytest.raises(UserError, match=r"odd\.safetensors.*w_class"):
        load(path)


@pytest.mark.parametrize(
    ("field", "value"), [("generator.z_dim", 2**16), ("generator.synthesis_kwargs.channel_max", 4)]
)
def test_weights_that_do_not_fit_the_keywords_are_refused(tiny_snapshot, tmp_path, field, value):
    path = rewritten(tiny_snapshot, tmp_path / "odd.safetensors", {field: value})
    with pytest.raises(UserError, match=r"odd\.safetensors.*do not fit"):
        load(path)


def test_snapshot_without_a_discriminator(tiny_snapshot, tmp_path):
    path = rewritten(tiny_snapshot, tmp_path / "half.safetensors", {"discriminator": ABSENT})
    assert load(path).conditions == ["dark", "pale"]
    with pytest.raises(UserError, match="no discriminator"):
        read_discriminator(path)


@pytest.mark.parametrize("value", [ABSENT, None])
def test_older_snapshots_without_ancestors(tiny_snapshot, tmp_path, value):
    path = rewritten(tiny_snapshot, tmp_path / "old.safetensors", {"started_from": value})
    assert load(path).metadata.started_from == []


def described(tmp_path, G, D, generator, discriminator):
    """A snapshot of three conditions, written and read again."""
    metadata = {
        "conditions": ["early", "middle", "late"],
        "cohort_digest": "ab12",
        "trained_on_folds": ["0"],
        "phantom": True,
        "generator": generator,
        "discriminator": discriminator,
    }
    path = tmp_path / "snapshot.safetensors"
    write_snapshot(path, G, D, SnapshotMetadata.from_json(metadata, path))
    return load(path), read_discriminator(path)


SMALL = {"channel_base": 64, "channel_max": 8, "half_dtype": "bfloat16"}


def test_stages_and_a_second_output_go_through_a_snapshot(tmp_path):
    stages = {"stages": [[1, 0, 2]]}
    generator = {
        "z_dim": 8,
        "c_dim": 3,
        "w_dim": 8,
        "img_resolution": 8,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": 2, **stages},
        "synthesis_kwargs": SMALL,
    }
    discriminator = {
        "c_dim": 3,
        "img_resolution": 8,
        "img_channels": 3,
        **SMALL,
        "mapping_kwargs": stages,
        "epilogue_kwargs": {"unconditional_output": True},
    }
    G, D = Generator(**generator).eval(), Discriminator(**discriminator)
    model, loaded = described(tmp_path, G, D, generator, discriminator)
    z, c, images = torch.randn(3, 8), torch.eye(3), torch.randn(3, 3, 8, 8)
    with torch.no_grad():  # passes with gradients are executed in another way
        assert torch.equal(model.G(z, c, noise_mode="const"), G(z, c, noise_mode="const"))
    assert torch.equal(loaded(images, c), D(images, c))
    assert model.G.synthesis.half_dtype == torch.bfloat16


def test_a_generator_without_labels_describes_itself(tmp_path):
    generator = {
        "z_dim": 8,
        "c_dim": 0,
        "w_dim": 8,
        "img_resolution": 8,
        "img_channels": 3,
        "synthesis_kwargs": SMALL,
    }
    discriminator = {"c_dim": 0, "img_resolution": 8, "img_channels": 3, **SMALL}
    G, D = Generator(**generator).eval(), Discriminator(**discriminator)
    model, _ = described(tmp_path, G, D, generator, discriminator)
    assert (model.sample("early", [0]) == model.sample("late", [0])).all()


@pytest.mark.parametrize("of", ["itself", "an ancestor"])
def test_a_model_without_a_cohort_digest_is_foreign(tiny_snapshot, tmp_path, of):
    """Whatever it claims about phantoms."""
    foreign = {"cohort_digest": ABSENT, "phantom": True}
    changes = {"started_from": [{"phantom": True}]} if of == "an ancestor" else foreign
    path = rewritten(tiny_snapshot, tmp_path / "foreign.safetensors", changes)
    model, own = load(path), load(tiny_snapshot)
    assert model.metadata.foreign and not model.metadata.phantoms_only
    assert not own.metadata.foreign
    assert own.metadata.origin == own.metadata.cohort_digest
    said = {"itself": "unknown images (a foreign model)", "an ancestor": "a foreign model of unknown images"}
    assert said[of] in model.metadata.origin
    assert "foreign" in repr(model) and "foreign" not in repr(own)


def test_older_snapshots_name_one_ancestor(tiny_snapshot, tmp_path):
    link = {"cohort_digest": "ab12", "trained_on_folds": ["0"], "phantom": True}
    path = rewritten(tiny_snapshot, tmp_path / "old.safetensors", {"started_from": link})
    assert [ancestor.model_dump() for ancestor in load(path).metadata.started_from] == [link]


def test_loading_leaves_the_random_numbers_alone(tiny_snapshot):
    before = torch.get_rng_state()
    load(tiny_snapshot)
    read_discriminator(tiny_snapshot)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("config", "fit"), [({"fit": "letterbox"}, "letterbox"), ({"fit": "stretch"}, "crop"), (None, "crop")]
)
def test_images_are_made_square_as_in_training(tiny_snapshot, tmp_path, config, fit):
    path = rewritten(tiny_snapshot, tmp_path / "other.safetensors", {"config": config})
    assert load(path).metadata.fit == fit


@pytest.mark.parametrize(
    ("config", "view"), [({"view": "focused"}, "focused"), ({"view": "side"}, None), ({}, None), (None, None)]
)
def test_the_only_view_of_the_training_images_is_known(tiny_snapshot, tmp_path, config, view):
    path = rewritten(tiny_snapshot, tmp_path / "other.safetensors", {"config": config})
    assert load(path).metadata.view == view


def test_metadata_is_written_as_it_was_read(tiny_snapshot, tmp_path):
    """Nothing is added that was not stored, and fields of other versions stay."""
    path = rewritten(tiny_snapshot, tmp_path / "other.safetensors", {"kimg": ABSENT, "later_field": [1]})
    stored = read_metadata(path, "generator")
    assert "later_field" in stored
    assert read_snapshot_metadata(path).as_json() == stored

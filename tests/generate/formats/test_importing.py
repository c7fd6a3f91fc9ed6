"""An imported checkpoint is a snapshot like our own, of unknown training images."""

import json

import numpy as np
import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.configs.projection import Projecting
from morphoscope.generate import GeneratorModel, load, train_generator
from morphoscope.generate.formats.importing import agreement, import_stylegan2
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.projection import Photograph, Projector
from morphoscope.generate.snapshots import read_discriminator
from morphoscope.runtime import RunFolder


@pytest.fixture(scope="module")
def imported(tmp_path_factory, checkpoint):
    folder = tmp_path_factory.mktemp("imported")
    source = folder / "model.pkl"
    source.write_bytes(checkpoint)
    fidelity = import_stylegan2(source, folder / "model.safetensors", ["NF1", "TSC"])
    return folder / "model.safetensors", fidelity


def test_the_snapshot_makes_the_images_of_the_stored_generator(imported, networks):
    model = load(imported[0])
    assert model.conditions == ["NF1", "TSC"]
    assert model.metadata.foreign
    assert not model.phantoms_only
    z = torch.from_numpy(np.random.RandomState(5).randn(1, 8)).float()
    expected = networks["G_ema"](z, torch.tensor([[0.0, 1.0]]), noise_mode="const")
    levels = (expected * 127.5 + 128).clamp(0, 255).detach().numpy()[0].transpose(1, 2, 0)
    ours = model.sample("TSC", [5], psi=1)[0]
    assert np.abs(ours - levels).max() <= 1.001  # truncated to whole levels


def test_it_is_morphed_and_projected_on(imported, colours):
    model = load(imported[0])
    path = LatentPath(End(1, {"NF1": 1.0}), End(2, {"TSC": 1.0}), way="both")
    frames = path.frames(model, [0, 0.5, 1])
    np.testing.assert_array_equal(frames[0], model.sample("NF1", [1])[0])
    steps = {"search_steps": 2, "w_steps": 2, "tuning_steps": 2}
    settings = Projecting(candidates=2, starts=2, film=False, **steps)
    projection = Projector(model, colours, settings).project(Photograph("ab12", frames[1]))
    end = End(projection.end, projection.end.label)
    np.testing.assert_array_equal(LatentPath(end, end).frames(model, [0])[0], projection.last.image)


@torch.no_grad()
def test_the_discriminator_is_there_for_further_training(imported, networks):
    images, labels = torch.rand(4, 3, 16, 16), torch.eye(2).repeat(2, 1)
    D = read_discriminator(imported[0])
    assert torch.equal(D(images, labels), networks["D"](images, labels))


def test_a_training_starts_from_it(imported, tiny_config, tiny_cohort, tmp_path):
    """With layers frozen and rates by resolution, in grey; what has no match is initialised."""
    settings = {"kimg": 0.004, "lr": 1e-9, "freeze_d": 2, "layer_decay": 0.5, "img_channels": 1}
    path = train_generator(
        tiny_config.model_copy(update=settings), tiny_cohort, RunFolder(tmp_path), start_from=imported[0]
    )
    model, start = load(path), load(imported[0])
    assert [training.foreign for training in model.metadata.lineage] == [False, True]
    assert model.grey and model.conditions == tiny_cohort.conditions
    before, after = (one.G.synthesis.b8.conv1.weight for one in (start, model))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)


def test_the_report_says_what_was_read(imported, networks):
    fidelity = imported[1]
    assert fidelity.averaged
    assert fidelity.generator.parameters == sum(p.numel() for p in networks["G_ema"].parameters())
    assert fidelity.discriminator.tensors == len(networks["D"].state_dict())
    assert fidelity.left_out == ["G"]
    assert len(fidelity.source_sha256) == 64
    json.dumps(fidelity.as_json())


def test_a_mean_of_w_that_the_mapping_does_not_make_is_far_away(imported):
    assert imported[1].mean_w_distance > 0.5  # the fixture's mean is random


def test_a_mean_of_w_that_the_mapping_makes_is_near(tmp_path, stored, networks, keywords):
    G = networks["G_ema"]
    before = G.mapping.w_avg.clone()
    z = torch.randn(4000, 8, generator=torch.Generator().manual_seed(3))
    G.mapping.w_avg.copy_(G.mapping(z, torch.eye(2).repeat(2000, 1))[:, 0].mean(dim=0).detach())
    (tmp_path / "a.pkl").write_bytes(stored({"G_ema": G}, keywords))
    G.mapping.w_avg.copy_(before)
    fidelity = import_stylegan2(tmp_path / "a.pkl", tmp_path / "a.safetensors")
    assert fidelity.mean_w_distance < 0.05
    assert fidelity.discriminator is None
    assert load(tmp_path / "a.safetensors").conditions == ["class 0", "class 1"]


@pytest.mark.parametrize(
    ("conditions", "message"), [(["NF1"], "has 2 classes; 1 conditions were named"), (["a", "a"], "twice")]
)
def test_wrong_names_are_refused_and_nothing_is_written(tmp_path, checkpoint, conditions, message):
    source = tmp_path / "model.pkl"
    source.write_bytes(checkpoint)
    with pytest.raises(UserError, match=message):
        import_stylegan2(source, tmp_path / "out.safetensors", conditions)
    assert list(tmp_path.iterdir()) == [source]


def test_an_existing_file_is_kept(imported, tmp_path, checkpoint):
    (tmp_path / "model.pkl").write_bytes(checkpoint)
    with pytest.raises(UserError, match="exists; choose the name of a new file"):
        import_stylegan2(tmp_path / "model.pkl", imported[0])


def test_agreement_is_exact_for_equal_images_and_known_for_others(imported):
    model: GeneratorModel = load(imported[0])
    image = model.sample("NF1", [3], psi=1)[0]
    same = agreement(model, 3, "NF1", image)
    assert (same.largest, same.mean, same.psnr) == (0, 0, float("inf"))
    shifted = np.where(image < 128, image + 2, image - 2).astype(np.uint8)
    other = agreement(model, 3, "NF1", shifted)
    assert (other.largest, other.mean) == (2, 2)
    assert other.psnr == pytest.approx(20 * np.log10(255 / 2))
    with pytest.raises(UserError, match="has shape"):
        agreement(model, 3, "NF1", image[:8])

"""Projection of photographs of known origin."""

import numpy as np
import pytest

from morphoscope.configs import UserError
from morphoscope.generate.latents import End, LatentPath, read_photograph, write_photograph
from morphoscope.generate.metrics.perceptual import as_tensor
from morphoscope.generate.projection import Outside, Photograph, Projector, held_out_photographs
from morphoscope.generate.projection.candidates import Candidates


def generated(model, condition="dark", seed=77):
    return Photograph("ab12", model.sample(condition, [seed], psi=1)[0])


def test_a_generated_image_is_found(model, colours, quick):
    settings = quick(search_steps=60, w_steps=80, starts=4, candidates=32)
    found = Projector(model, colours, settings).project(generated(model)).found
    assert found["tuned"].psnr > found["w"].psnr > 20


@pytest.mark.parametrize("space", ["w", "w_plus", "tuned"])
def test_the_end_is_the_projection_exactly(model, colours, quick, tmp_path, space):
    """Through its file, too: the same codes, noise maps and weights give the same pixels."""
    photograph = Photograph("ab12", np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8))
    projection = Projector(model, colours, quick(space=space)).project(photograph)
    assert list(projection.found) == ["search", "w"] + [space] * (space != "w")
    write_photograph(tmp_path / "end.safetensors", projection.end)
    end = read_photograph(tmp_path / "end.safetensors", model)
    frames = LatentPath(End(end, end.label), End(end, {"pale": 1.0})).frames(model, [0.0])
    assert np.abs(frames[0].astype(int) - projection.last.image).max() <= 1
    assert (end.codes == end.codes[0]).all() == (space != "w_plus")
    assert end.record["network"] == "colours"


def test_the_same_settings_give_the_same_projection(model, colours, quick):
    first, second = (Projector(model, colours, quick()).project(generated(model)) for _ in range(2))
    assert first.end.codes.equal(second.end.codes)
    assert np.array_equal(first.last.image, second.last.image)


def test_the_model_is_left_as_it_was(model, colours, quick):
    before = {name: tensor.clone() for name, tensor in model.G.state_dict().items()}
    Projector(model, colours, quick()).project(generated(model))
    assert all(tensor.equal(before[name]) for name, tensor in model.G.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.G.parameters())


def test_a_given_condition_is_kept(model, colours, quick):
    projection = Projector(model, colours, quick(condition="pale")).project(generated(model, "dark"))
    assert projection.end.label == {"pale": 1.0}


def test_a_mixture_lies_on_the_simplex(model, colours, quick):
    projection = Projector(model, colours, quick(mixture=True)).project(generated(model))
    assert sum(projection.end.label.values()) == pytest.approx(1)
    assert len(projection.end.label) == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"condition": "psoriasis"}, "psoriasis.*dark, pale"),
        ({"to": ["psoriasis"]}, "psoriasis"),
        ({"condition": "dark", "mixture": True}, "either a condition or"),
    ],
)
def test_what_does_not_fit_is_refused(model, colours, quick, changed, message):
    with pytest.raises(UserError, match=message):
        Projector(model, colours, quick(**changed))


def test_every_condition_gets_a_start(model, colours):
    candidates = Candidates(model, colours, each=8, seed=0)
    target = as_tensor(generated(model).pixels[None], model.class_means.device)
    starts = candidates.nearest(target, 3, None)
    assert sorted(starts.labels[:2].argmax(dim=1).tolist()) == [0, 1]
    assert (candidates.nearest(target, 20, 1).labels.argmax(dim=1) == 1).all()


def test_held_out_photographs_are_of_different_patients(model, tiny_cohort):
    found = held_out_photographs(model, tiny_cohort, 4)
    assert len({one.digest for one in found}) == 4
    assert found[0].pixels.shape == (16, 16, 3)
    assert held_out_photographs(model, tiny_cohort, 4)[0].digest == found[0].digest


def test_outside_is_beyond_the_95th_percentile(model, colours, quick):
    projection = Projector(model, colours, quick(space="w")).project(generated(model))
    distance = projection.found["w"].perceptual
    far = Outside.of(projection, [distance / 2] * 20)
    assert far.distance_percentile == 100
    assert far.is_outside
    assert "lies outside" in far.message
    near = Outside(20, 50.0, 50.0)
    assert not near.is_outside
    assert "50% of 20 held-out" in near.message
    assert Outside.of(projection, []).distance_percentile is None

"""Directions without labels, and axes between conditions."""

import numpy as np
import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.directions import condition_axis, factorised_directions


def styles(model, codes):
    """The styles of all layers that a code [w_dim] gives."""
    found = [
        module.affine(codes[None])[0] for module in model.G.synthesis.modules() if hasattr(module, "affine")
    ]
    return torch.cat(found)


def test_first_direction_changes_the_styles_most(model):
    """Shen and Zhou, eq. 4: no unit vector changes A n more than the first direction; they are orthogonal."""
    units = [d.step[0] / d.step[0].norm() for d in factorised_directions(model, 8)]
    gains = [(styles(model, unit) - styles(model, 0 * unit)).norm() for unit in units]
    assert gains == sorted(gains, reverse=True)
    random = torch.nn.functional.normalize(torch.randn(200, 8, generator=torch.Generator().manual_seed(0)))
    others = [(styles(model, unit) - styles(model, 0 * unit)).norm() for unit in random]
    assert max(others) <= gains[0] * (1 + 1e-5)
    torch.testing.assert_close(torch.stack(units) @ torch.stack(units).T, torch.eye(8), atol=1e-5, rtol=0)


def test_directions_of_some_layers_change_these_alone(model):
    (direction,) = factorised_directions(model, 1, range(2, 4))
    assert direction.name == "1/2-3"
    changed = direction.step.abs().sum(dim=1) > 0
    assert changed.tolist() == [False, False, True, True, False, False]


def test_strength_is_in_standard_deviations(model):
    (direction,) = factorised_directions(model, 1)
    unit = direction.step[0] / direction.step[0].norm()
    z = torch.randn([4096, 8], generator=torch.Generator().manual_seed(5))
    variances = [(model.G.mapping(z, c.expand(len(z), -1))[:, 0] @ unit).var() for c in torch.eye(3)]
    assert direction.step[0].norm() == pytest.approx(float(sum(variances) / 3) ** 0.5, rel=0.15)


def test_an_axis_leads_from_one_mean_to_the_other(model):
    axis = condition_axis(model, "early", "late")
    end = End(0, {"early": 1.0}, (axis.move(1.0),))
    codes = LatentPath(end, end, psi=0.0).codes(model, [0])[0]
    torch.testing.assert_close(codes, model.class_mean("late").expand_as(codes))


@pytest.mark.parametrize(
    ("count", "layers", "message"), [(9, None, "1 to 8"), (1, range(4, 7), "0-5"), (1, range(2, 2), "0-5")]
)
def test_what_the_generator_lacks(model, count, layers, message):
    with pytest.raises(UserError, match=message):
        factorised_directions(model, count, layers)


def test_a_move_changes_the_image_and_its_opposite_restores_it(model):
    (direction,) = factorised_directions(model, 1)
    plain = End(3, {"early": 1.0})
    there = End(3, {"early": 1.0}, (direction.move(2.0),))
    back = End(3, {"early": 1.0}, (direction.move(2.0), direction.move(-2.0)))
    images = [LatentPath(end, end).frames(model, [0])[0] for end in (plain, there, back)]
    assert (images[1] != images[0]).any()
    np.testing.assert_array_equal(images[2], images[0])

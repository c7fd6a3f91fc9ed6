"""LeCam regularisation: anchors, the equation, its direction and its state."""

import json

import pytest
import torch

from morphoscope.generate.training.lecam import LeCam

REAL = torch.tensor([[2.0], [4.0]])
FAKE = torch.tensor([[-1.0], [0.0]])


def observed(*means: tuple[float, float], decay: float = 0.9) -> LeCam:
    lecam = LeCam(decay)
    for real, fake in means:
        lecam.observe(torch.tensor([real]), torch.tensor([fake]))
    return lecam


def test_no_penalty_before_the_first_observation():
    assert LeCam(0.99).penalty(REAL, FAKE).item() == 0


def test_real_is_compared_with_the_anchor_of_fakes_and_vice_versa():
    penalty = observed((1.0, -2.0)).penalty(REAL, FAKE)
    assert penalty.item() == pytest.approx((4**2 + 6**2) / 2 + (2**2 + 1**2) / 2)


def test_anchors_keep_their_addresses_because_recorded_steps_read_them():
    lecam = LeCam(0.9)
    addresses = lecam.real.data_ptr(), lecam.fake.data_ptr()
    for _ in range(2):
        lecam.observe(torch.tensor([1.0]), torch.tensor([2.0]))
    lecam.load_state_dict({"real": [3.0], "fake": [4.0]})
    assert (lecam.real.data_ptr(), lecam.fake.data_ptr()) == addresses
    assert (lecam.real.item(), lecam.fake.item()) == (3, 4)


def test_anchors_decay():
    lecam = observed((1.0, -2.0), (2.0, 0.0))
    assert lecam.real.tolist() == [pytest.approx(1.1)]
    assert lecam.fake.tolist() == [pytest.approx(-1.8)]


def test_gradient_brings_the_logits_of_real_and_fake_closer():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    observed((3.0, -0.5)).penalty(real, fake).backward()
    assert (real.grad > 0).all()
    assert (fake.grad < 0).all()


def test_each_output_has_its_own_anchors_and_weight():
    lecam = LeCam(0.9, outputs=2)
    lecam.observe(torch.tensor([1.0, 5.0]), torch.tensor([-2.0, 7.0]))
    two = lecam.penalty(REAL.repeat(1, 2), FAKE.repeat(1, 2), torch.tensor([1.0, 0.25]))
    expected = observed((1.0, -2.0)).penalty(REAL, FAKE) + 0.25 * observed((5.0, 7.0)).penalty(REAL, FAKE)
    torch.testing.assert_close(two, expected)


def test_state_survives_json_exactly():
    first, second = observed((1 / 3, -2 / 3), (0.1, 0.7)), LeCam(0.9)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for lecam in (first, second):
        lecam.observe(torch.tensor([0.3]), torch.tensor([0.2]))
    assert torch.equal(first.penalty(REAL, FAKE), second.penalty(REAL, FAKE))
    assert second.penalty(REAL, FAKE) > 0
    assert LeCam(0.9).state_dict() == {"real": None, "fake": None}

"""The state of an optimiser does not decide whether its steps are fused on this device."""

from copy import deepcopy

import pytest
import torch

from morphoscope.runtime.torch_optimizers import load_optimizer


def optimizer(rate: float, fused: bool | None) -> torch.optim.Adam:
    weights = [torch.nn.Parameter(torch.tensor([1.0, -2.0])), torch.nn.Parameter(torch.tensor([3.0]))]
    groups = [{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.1}]
    return torch.optim.Adam(groups, lr=rate, fused=fused)


def step(one: torch.optim.Adam) -> None:
    for group in one.param_groups:
        for weight in group["params"]:
            weight.grad = weight.detach() ** 2
    one.step()


@pytest.mark.parametrize("saved", [True, False, None])
@pytest.mark.parametrize("own", [True, None])
def test_whether_steps_are_fused_is_kept(saved: bool | None, own: bool | None) -> None:
    before, after = optimizer(0.1, saved), optimizer(0.5, own)
    step(before)
    load_optimizer(after, deepcopy(before.state_dict()))  # as from a file: no shared tensors
    assert [group["fused"] for group in after.param_groups] == [own, own]
    assert [group["fused"] for group in before.param_groups] == [saved, saved]
    assert [(group["lr"], group["weight_decay"]) for group in after.param_groups] == [(0.1, 0), (0.1, 0.1)]
    for group, other in zip(before.param_groups, after.param_groups, strict=True):
        for weight, twin in zip(group["params"], other["params"], strict=True):
            twin.data.copy_(weight.data)
            for name, value in before.state[weight].items():
                torch.testing.assert_close(after.state[twin][name], value)
    step(before), step(after)
    for group, other in zip(before.param_groups, after.param_groups, strict=True):
        torch.testing.assert_close(other["params"], group["params"])


def test_other_parameters_are_refused() -> None:
    state = optimizer(0.1, None).state_dict()
    with pytest.raises(ValueError, match="shorter"):
        load_optimizer(torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]), state)
    with pytest.raises(LookupError):
        load_optimizer(optimizer(0.1, None), {"state": {}})

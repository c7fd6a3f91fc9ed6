"""The state of an optimiser, taken over on another device than it was written on."""

from typing import Any

import torch


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the `state_dict` of an optimiser of the same parameters, but keep how `optimizer` makes its steps.

    `Optimizer.load_state_dict` takes over every setting of the state's groups, among them whether a step is
    one fused kernel. That suits the device that the state comes from: a training begun on a CPU would go on
    unfused on a GPU, and one begun on a GPU fused on a CPU.

    Raises:
        LookupError, TypeError, ValueError: not such a state, or of other parameters.
    """
    groups = [
        {**saved, "fused": own["fused"]}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({**state, "param_groups": groups})

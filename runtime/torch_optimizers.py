"""Loading the state of an optimiser on another device than the one it was written on."""

from typing import Any

import torch


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the `state_dict` of an optimiser of the same parameters, but keep the setting `fused`.

    `Optimizer.load_state_dict` adopts every setting of the state's groups, including whether a step is one
    fused kernel. That depends on the device: a training that began on a CPU would continue without fused
    kernels on a GPU, and one that began on a GPU would use them on a CPU.

    Raises:
        LookupError, TypeError, ValueError: not such a state, or one of other parameters.
    """
    groups = [
        {**saved, "fused": own["fused"]}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({**state, "param_groups": groups})

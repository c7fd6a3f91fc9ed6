"""Computations that are recorded once, as CUDA graphs, and then replayed.

At the sizes of our networks Python takes several times as long to ask for the kernels of an iteration as a
data centre's GPU takes to run them. A replay asks once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]
Pool = Any  # as torch.cuda.graph_pool_handle() gives it


@dataclass
class Outcome:
    """What a step computes of one micro-batch.

    Attributes:
        figures: scalars to log, by name.
        gradients: (parameter, its gradient) of those parameters that the loss depends on.
        mean: what is wanted as a mean over the whole batch beside the gradients, if anything.
    """

    figures: Tensors
    gradients: list[tuple[torch.nn.Parameter, torch.Tensor]]
    mean: torch.Tensor | None = None


class RecordedStep:
    """Calls `compute` as it is the first time, then records it as a CUDA graph, then replays that.

    A replay runs the same kernels on the same memory. So `compute` must ask for the same ones whatever its
    inputs hold, neither wait for the GPU nor copy to it, and change what outlives it only in place. Random
    numbers follow torch's generator as ever.

    Args:
        compute: inputs by name -> Outcome.
        pool: memory that several graphs share, which are replayed one at a time; None never records.
    """

    def __init__(self, compute: Callable[[Tensors], Outcome], pool: Pool | None) -> None:
        self._compute = compute
        self._pool = pool
        self._warm = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: Tensors = {}
        self._outcome: Outcome | None = None

    def __call__(self, inputs: Tensors) -> Outcome:
        """What `compute` makes of these; valid until the next call, of this or another step of the pool."""
        if self._pool is None or not self._warm:
            self._warm = True  # kernels are loaded, convolutions chosen: nothing of it may happen in a graph
            return self._compute(inputs)
        if self._graph is None:
            self._record(inputs)
        assert self._graph is not None and self._outcome is not None
        for name, kept in self._inputs.items():
            kept.copy_(inputs[name], non_blocking=True)
        self._graph.replay()
        return self._outcome

    def _record(self, inputs: Tensors) -> None:
        """Record the kernels, which do not run meanwhile, on inputs that stay where they are."""
        self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            self._outcome = self._compute(self._inputs)
        self._graph = graph

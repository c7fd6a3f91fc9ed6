"""Computations that are recorded once, as CUDA graphs, and then replayed.

For networks of this size, Python takes several times as long to launch the kernels of an iteration as a data
centre's GPU takes to run them. A replay launches them all at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]
Pool = Any  # what torch.cuda.graph_pool_handle() returns


@dataclass
class Outcome:
    """What a step computes from one micro-batch.

    Attributes:
        values: scalars to log, by name.
        gradients: (parameter, its gradient) for all trained parameters; zeros where the loss does not depend
            on one.
        means: further tensors to average over the whole batch, by name.
    """

    values: Tensors
    gradients: list[tuple[torch.nn.Parameter, torch.Tensor]]
    means: Tensors = field(default_factory=dict)


class RecordedStep:
    """Calls `compute` the first time, records it as a CUDA graph the second time, and then replays the graph.

    A replay runs the same kernels on the same memory. So `compute` must launch the same kernels for any
    values of its inputs, neither wait for the GPU nor copy to it, and change lasting tensors only in place.
    Random numbers still follow torch's generator.

    Args:
        compute: inputs by name -> Outcome.
        pool: memory shared by several graphs that are replayed one at a time; None never records.
    """

    def __init__(self, compute: Callable[[Tensors], Outcome], pool: Pool | None) -> None:
        self._compute = compute
        self._pool = pool
        self._warm = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: Tensors = {}
        self._outcome: Outcome | None = None

    def __call__(self, inputs: Tensors) -> Outcome:
        """The outcome for these inputs; valid until the next call of any step that shares the pool."""
        if self._pool is None or not self._warm:
            self._warm = True  # loading kernels and choosing convolutions is not allowed in a graph
            return self._compute(inputs)
        if self._graph is None:
            self._record(inputs)
        assert self._graph is not None and self._outcome is not None
        for name, kept in self._inputs.items():
            kept.copy_(inputs[name], non_blocking=True)
        self._graph.replay()
        return self._outcome

    def _record(self, inputs: Tensors) -> None:
        """Record the kernels, without running them, on inputs that keep their addresses."""
        self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            self._outcome = self._compute(self._inputs)
        self._graph = graph

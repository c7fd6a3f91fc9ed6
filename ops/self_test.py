"""Self-test: values and gradients of every operation on this machine, compared with its reference twin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from morphoscope.ops.bias_act import bias_act
from morphoscope.ops.conv2d_resample import conv2d_resample
from morphoscope.ops.dispatch import backend, bfloat16_by, bfloat16_instructions, reference_chosen
from morphoscope.ops.epilogue import epilogue
from morphoscope.ops.filters import setup_filter
from morphoscope.ops.grid_sample import grid_sample
from morphoscope.ops.modulated_conv2d import modulated_conv2d
from morphoscope.ops.modulated_layer import modulated_layer
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.ops.precision import convolutions_in
from morphoscope.ops.upfirdn2d import downsample2d, upsample2d

TOLERANCE = 1e-4  # a few hundred float32 terms summed in another order differ by a hundredth of this


@dataclass(frozen=True)
class OpReport:
    """How one operation ran on one device, and its largest differences from the reference.

    Attributes:
        op: name of the operation.
        device: "cpu" or "cuda:0".
        kernels: the native kernels that ran; empty if the operation ran in plain torch.
        difference: largest absolute difference, relative to the largest absolute value of the reference.
        gradient_difference: the same for first and second derivatives; None for operations without gradients.
        error: message of the error that the operation raised, if any.
    """

    op: str
    device: str
    kernels: tuple[str, ...] = ()
    difference: float = float("nan")
    gradient_difference: float | None = None
    error: str | None = None

    @property
    def path(self) -> str:
        """Either "native" or "torch"."""
        return "native" if self.kernels else "torch"

    @property
    def passed(self) -> bool:
        """Whether both differences are within `TOLERANCE`; NaN is not."""
        return self.difference < TOLERANCE and (self.gradient_difference or 0.0) < TOLERANCE


@dataclass(frozen=True)
class Case:
    """One call, `run(*inputs)`; if `differentiable`, it has derivatives with respect to all inputs."""

    op: str
    run: Callable[..., torch.Tensor]
    inputs: tuple[torch.Tensor, ...]
    differentiable: bool = True


def self_test(device: torch.device) -> list[OpReport]:
    """Run every operation on a device in float32, under backend("auto") and under backend("reference")."""
    return [_examine(case, device) for case in _cases(device)]


def _cases(device: torch.device) -> list[Case]:
    generator = torch.Generator().manual_seed(0)  # leaves the caller's random state alone

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device)

    # 32 channels fill whole vectors of the widest registers, as the native convolutions require.
    x, w, s, b = normal(2, 32, 16, 16), normal(32, 32, 3, 3) / 17, normal(2, 32) + 1, normal(32)
    noise = normal(32, 32)
    f, long = (setup_filter(taps, device=device) for taps in ([1, 3, 3, 1], list(range(1, 13))))
    grid = (torch.rand([2, 7, 7, 2], generator=generator) * 2.4 - 1.2).to(device)

    def resampled(x: torch.Tensor) -> torch.Tensor:
        return downsample2d(upsample2d(x, f), long)

    def convolved(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        x = conv2d_resample(x, w, padding=1)
        return conv2d_resample(conv2d_resample(x, w, f, up=2, padding=1), w, f, down=2, padding=1)

    def modulated(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return modulated_conv2d(x, w, s, f, up=2, padding=1, weight_is_correlated=False)

    def layer(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return modulated_layer(modulated_layer(x, w, s, f, up=2, noise=noise, b=b), w, s, b=b, clamp=2.0)

    def finished(x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return epilogue(x, b, scale=s, noise=noise, act="lrelu", clamp=2.0, f=f, up=2, padding=(2, 1, 2, 1))

    cases = [
        Case("bias_act", lambda x, b: bias_act(x, b, act="lrelu", clamp=2.0), (x, b)),
        Case("upfirdn2d", resampled, (x[:, :4],)),
        Case("grid_sample", lambda x: grid_sample(x, grid), (x[:, :4],)),
        Case("epilogue", finished, (x, b), differentiable=False),
        Case("conv2d_resample", convolved, (x, w)),
        Case("modulated_conv2d", modulated, (x, w, s)),
        Case("modulated_layer", layer, (x, w, s, b), differentiable=False),
    ]
    instructions = bfloat16_instructions()
    if device.type == "cpu" and not isinstance(instructions, Unavailable):

        def in_bfloat16(*inputs: torch.Tensor) -> torch.Tensor:
            """The reference is the emulation of the instructions, whose sums are theirs."""
            used = instructions.emulation if reference_chosen() else instructions
            with backend("native"), bfloat16_by(used), convolutions_in("bfloat16"):
                return layer(*inputs)

        cases.append(Case("modulated_layer in bfloat16", in_bfloat16, (x, w, s, b), differentiable=False))
    return cases


def _examine(case: Case, device: torch.device) -> OpReport:
    try:
        # The rounding of TF32 would hide the differences that are tested here.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            with backend("auto"):
                ours, kernels = _values(case), _kernels(case)
            with backend("reference"):
                theirs = _values(case)
        gradients = _difference(ours[1:], theirs[1:]) if case.differentiable else None
        return OpReport(case.op, str(device), kernels, _difference(ours[:1], theirs[:1]), gradients)
    except (RuntimeError, AssertionError) as error:  # from a launch, or a kernel that refuses its arguments
        return OpReport(case.op, str(device), error=str(error).partition("\n")[0])


def _kernels(case: Case) -> tuple[str, ...]:
    """Names of the native kernels that a call runs."""
    with torch.no_grad(), _Recorder() as recorder:
        case.run(*case.inputs)
    return tuple(sorted(recorder.names))


class _Recorder(TorchDispatchMode):
    """Records which operations of `torch.ops.morphoscope` the dispatcher calls."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "morphoscope":
            self.names.add(func.name().removeprefix("morphoscope::"))
        return func(*args, **(kwargs or {}))


def _values(case: Case) -> list[torch.Tensor]:
    """The result and, if differentiable, its gradients and the gradients of a sum of those."""
    inputs = [x.detach().requires_grad_(case.differentiable) for x in case.inputs]
    y = case.run(*inputs)
    if not case.differentiable:
        return [y]
    weights = _positions(y).requires_grad_()
    first = torch.autograd.grad(y, inputs, weights, create_graph=True)
    second = torch.autograd.grad(
        first, [weights, *inputs], [_positions(g) for g in first], materialize_grads=True
    )
    return [y.detach(), *(g.detach() for g in first), *second]


def _positions(like: torch.Tensor) -> torch.Tensor:
    """Values that differ from element to element, without random numbers."""
    return torch.arange(like.numel(), device=like.device).sin().reshape(like.shape)


def _difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    pairs = zip(ours, theirs, strict=True)
    # Unlike Python's maximum, torch's keeps NaN.
    return torch.stack([(a - b).abs().max() / b.abs().max().clamp_min(1e-20) for a, b in pairs]).max().item()

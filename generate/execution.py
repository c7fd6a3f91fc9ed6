"""The canonical execution: an image depends on its latent, label and noise mode, not on its batch.

Libraries choose their algorithms, and so the order in which terms are added, by the size of a batch. A seed
then gives images that differ by one grey level in one value of several thousand, depending on how many others
are generated with it. Everything that is shown, written or measured is generated here:

- On a CPU with native kernels whole batches are computed. Without gradients, these kernels choose the
  algorithm by the size of one image, and add the terms of each result in an order that its batch and the
  number of threads do not change.
- Elsewhere (the reference implementation, a GPU, layers that lack native kernels) images are computed one by
  one, so that every library sees the same problem each time.

Between kinds of machines, and between the native kernels and the reference, results differ in their last
bits; the `execution_id` names what they depend on. A training computes as fast as it can instead.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.networks.layers import ConvLayer
from morphoscope.generate.networks.synthesis import SynthesisLayer, SynthesisNetwork
from morphoscope.ops.cpu.conv3x3 import channel_multiple
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.precision import bfloat16_chosen

_VERSION = 2  # to be raised by whatever changes the arithmetic of an image
BATCH = 16


@torch.no_grad()
def map_latents(G: Generator, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """Intermediate latents [N, num_ws, w_dim], not truncated, of z [N, z_dim] and labels c [N, c_dim]."""
    return in_batches(G.synthesis, G.mapping, z, c)


def truncated(ws: torch.Tensor, centres: torch.Tensor, psi: float) -> torch.Tensor:
    """centre + psi (w - centre), for ws [N, num_ws, w_dim] and centres [N, w_dim].

    A psi of 1 leaves ws as they are.
    """
    if psi == 1:
        return ws
    centres = centres[:, None]
    return centres + (ws - centres) * psi  # not lerp, whose rounding may depend on the position


def execution_id(synthesis: SynthesisNetwork) -> str:
    """What the last bits of a network's images depend on, such as "2 cpu-avx2 native float32 torch-2.14.0".

    Images that have the same execution, generator, latent, label, psi and noise mode are the same to the bit.
    """
    device = next(synthesis.parameters()).device
    native = native_runs(device.type, device.index)
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        machine, precision = f"cuda-sm{major}{minor}", _cuda_precision()
    else:
        capability = cpu_library().isa if native else torch.backends.cpu.get_cpu_capability().lower()
        machine, precision = f"{device.type}-{capability}", _cpu_precision()
    kernels = "native" if native else "reference"
    if not _whole_batches(synthesis):  # torch's convolutions may split their sums among threads
        kernels += f"-{torch.get_num_threads()}-threads" if device.type == "cpu" else ""
    return f"{_VERSION} {machine} {kernels} {precision} torch-{torch.__version__.partition('+')[0]}"


def in_batches(
    synthesis: SynthesisNetwork, compute: Callable[..., torch.Tensor], *operands: torch.Tensor
) -> torch.Tensor:
    """compute(*operands) for operands [N, …], in parts."""
    size = BATCH if _whole_batches(synthesis) else 1
    parts = zip(*(operand.split(size) for operand in operands), strict=True)
    with _repeatable():
        # Copies, since libraries may also choose by the alignment of their operands in memory.
        return torch.cat([compute(*(part.clone() for part in each)) for each in parts])


def _whole_batches(synthesis: SynthesisNetwork) -> bool:
    """Whether every layer has native kernels, whose results do not depend on the batch."""
    device = next(synthesis.parameters()).device
    if device.type != "cpu" or not native_runs("cpu", None):
        return False
    layers = [module for module in synthesis.modules() if isinstance(module, SynthesisLayer)]
    widths = {width for layer in layers for width in layer.weight.shape[:2]}
    fits = all(width % channel_multiple() == 0 for width in widths)
    return fits and not any(isinstance(module, ConvLayer) for module in synthesis.modules())


@contextmanager
def _repeatable() -> Iterator[None]:
    """Let cuDNN neither choose its algorithms by timing nor add in an order that varies."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=cudnn.allow_tf32):
        yield


def _cpu_precision() -> str:
    chosen = bfloat16_chosen()
    return "float32" if chosen is None else f"bfloat16-{Instructions(chosen).name.lower()}"


def _cuda_precision() -> str:
    allowed = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    return {(False, False): "float32", (True, True): "tf32"}.get(allowed, "mixed-tf32")

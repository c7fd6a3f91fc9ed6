"""Processes that compute together, as `torchrun` starts them: sums, and work that one does for all."""

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed

from morphoscope.configs import UserError
from morphoscope.runtime.torch_devices import resolve_device

Result = TypeVar("Result")
# The other processes wait while the first evaluates a snapshot or builds kernels.
_PATIENCE = datetime.timedelta(hours=2)
_LAUNCHERS_VARIABLES = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


class Processes:
    """The processes that compute together; for a single one, every method is local.

    Attributes:
        rank: number of this process, from 0.
        world: number of processes.
        device: of this process.
    """

    def __init__(self, device: torch.device, rank: int = 0, world: int = 1) -> None:
        self.device = device
        self.rank = rank
        self.world = world

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints messages."""
        return self.rank == 0

    def sum(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all processes, bit for bit the same in each of them.

        One flat buffer is exchanged. `DistributedDataParallel` would overlap this with the backward pass, but
        does not support gradients of gradients, which R1 and path lengths need.
        """
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.reshape(tensor.shape))

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in any process."""
        if self.world == 1:
            return flag
        count = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(count)
        return count.item() > 0

    def same(self, number: int) -> bool:
        """Whether all processes have the same `number`."""
        if self.world == 1:
            return True
        ends = torch.tensor([number, -number], dtype=torch.int64, device=self.device)
        torch.distributed.all_reduce(ends, torch.distributed.ReduceOp.MAX)
        highest, lowest = ends.tolist()
        return highest == -lowest

    def on_main(self, work: Callable[[], Result]) -> Result:
        """Run `work` in the main process while the others wait; all return its result.

        Raises:
            UserError: raised by `work`; in every process, so that none is left waiting.
        """
        if self.world == 1:
            return work()
        outcome: list[tuple[Result | None, str | None]] = [(None, None)]
        if self.is_main:
            try:
                outcome = [(work(), None)]
            except UserError as error:
                outcome = [(None, str(error))]
        torch.distributed.broadcast_object_list(outcome, src=0, device=self.device)
        result, complaint = outcome[0]
        if complaint is not None:
            raise UserError(complaint)
        return result  # type: ignore[return-value]  # None only if `work` returns it


@contextmanager
def joined(device: torch.device | str = "auto") -> Iterator[Processes]:
    """The processes that `torchrun` has started, or only this one.

    Args:
        device: auto, cpu or cuda; with several processes, cuda is the GPU of this process's local rank.

    Raises:
        UserError: no such device, or more processes on this machine than it has GPUs.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes(resolve_device(device))
        return
    missing = [name for name in _LAUNCHERS_VARIABLES if name not in os.environ]
    if missing:
        raise UserError(
            f"WORLD_SIZE is {world}, but {', '.join(missing)} is not set: start with torchrun, or unset it."
        )
    where = resolve_device(device)
    if where.type == "cuda":
        if where.index is not None:
            raise UserError(f"--device {device}: with {world} processes, each uses its own GPU; use cuda.")
        where = resolve_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(where)
    backend = "nccl" if where.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Processes(where, torch.distributed.get_rank(), world)
    except (UserError, KeyboardInterrupt):  # which all processes raise together
        torch.distributed.destroy_process_group()
        raise
    # After any other error, in one process alone, destroying the group would wait for the others forever.
    torch.distributed.destroy_process_group()

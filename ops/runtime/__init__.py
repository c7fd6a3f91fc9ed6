"""What every long computation stands on: device, memory, atomic files, checkpoints, runs, interruption."""

from morphoscope.ops.runtime.checkpoints import (
    read_checkpoint,
    read_metadata,
    read_state,
    write_checkpoint,
    write_state,
)
from morphoscope.ops.runtime.device import resolve_device, set_precision, to_device
from morphoscope.ops.runtime.files import write_atomically, write_text
from morphoscope.ops.runtime.interruption import Interruption
from morphoscope.ops.runtime.memory import keep_freed_memory, memory_gb
from morphoscope.ops.runtime.optimizers import load_optimizer
from morphoscope.ops.runtime.processes import Processes, joined
from morphoscope.ops.runtime.runs import RunFolder

__all__ = [
    "Interruption",
    "Processes",
    "RunFolder",
    "joined",
    "keep_freed_memory",
    "load_optimizer",
    "memory_gb",
    "read_checkpoint",
    "read_metadata",
    "read_state",
    "resolve_device",
    "set_precision",
    "to_device",
    "write_atomically",
    "write_checkpoint",
    "write_state",
    "write_text",
]

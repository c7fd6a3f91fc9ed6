"""The generator of a command."""

from pathlib import Path

from morphoscope.configs.precision import PrecisionOnCpu
from morphoscope.generate import GeneratorModel, load
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_memory import keep_freed_memory


def load_generator(path: Path, device: str, precision: PrecisionOnCpu = "float32") -> GeneratorModel:
    """`generate.load` for a process whose main work is to generate images.

    On a CPU it keeps the memory that it frees for the next batch: at 256 px, a batch whose memory the system
    must provide again takes 1.5 times as long (docs/lab-notes.md).

    Raises:
        UserError: as `generate.load`.
    """
    if resolve_device(device).type == "cpu":
        keep_freed_memory()
    return load(path, device, precision)

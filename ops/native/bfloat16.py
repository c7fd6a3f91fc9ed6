"""Which instructions for products in bfloat16 this CPU offers: AMX, AVX512-BF16, or none and why."""

from enum import IntEnum

from morphoscope.ops.native.cpu_library import CpuLibrary
from morphoscope.ops.native.params import Bf16CpuState
from morphoscope.ops.native.toolchain import Unavailable


class Instructions(IntEnum):
    """What multiplies, with the numbers of Bf16Instructions in csrc/cpu/bf16.h.

    The emulations run on every CPU, for tests; they are hundreds of times slower and never chosen.
    """

    EMULATED_AMX = 0
    EMULATED_AVX512_BF16 = 1
    AMX = 2
    AVX512_BF16 = 3

    @property
    def label(self) -> str:
        """For messages: "AMX", "AVX512-BF16"."""
        return self.name.replace("_BF16", "-BF16").replace("EMULATED_", "emulated ")

    @property
    def emulation(self) -> "Instructions":
        """The emulation of these instructions."""
        return {
            Instructions.AMX: Instructions.EMULATED_AMX,
            Instructions.AVX512_BF16: Instructions.EMULATED_AVX512_BF16,
        }.get(self, self)


_LACKING, _DISABLED, _USABLE = range(3)  # enum Usability of csrc/params.h


def fastest_instructions(library: CpuLibrary) -> Instructions:
    """The instructions that this process can use, AMX before AVX512-BF16.

    Raises:
        Unavailable: there are none.
    """
    state = Bf16CpuState()
    library.call("bf16_inspect", state)
    return chosen(state)


def chosen(state: Bf16CpuState) -> Instructions:
    """The instructions for a state of CPU and operating system.

    Raises:
        Unavailable: there are none.
    """
    if state.amx == _USABLE:
        return Instructions.AMX
    if state.avx512_bf16 == _USABLE:
        return Instructions.AVX512_BF16
    if state.avx512_bf16 == _DISABLED:
        raise Unavailable(
            "the CPU has AVX512-BF16, but the operating system or hypervisor does not enable its registers",
            "use a newer operating system, or enable the registers for this virtual machine",
        )
    raise Unavailable(
        "this CPU lacks AVX512-BF16",
        "use float32, or a CPU that has it (Intel Xeon or AMD EPYC from the 4th generation on)",
    )

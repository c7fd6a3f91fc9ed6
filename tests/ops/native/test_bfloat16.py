"""The emulated instructions for bfloat16 against float64, and which instructions a CPU can use."""

import math
import platform
import re
import shutil
import subprocess

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.native.bfloat16 import Instructions, chosen, fastest_instructions
from morphoscope.ops.native.cpu_library import cpu_library
from morphoscope.ops.native.params import Bf16CpuState, Bf16ProductParams, address
from morphoscope.ops.native.toolchain import Unavailable

if not native_runs("cpu", None):
    pytest.skip("no native kernels can be built here", allow_module_level=True)

DEPTH = COLUMNS = ROWS = 32  # csrc/cpu/bf16.h
EMULATIONS = [Instructions.EMULATED_AMX, Instructions.EMULATED_AVX512_BF16]


def product(instructions, a, b, out=None):
    """a [rows, steps · 32] times b [steps · 32, 32]; the values of a for a step are a matrix of their own."""
    rows, depth = a.shape
    steps = depth // DEPTH
    by_step = a.reshape(rows, steps, DEPTH).transpose(0, 1).contiguous()
    panel = b.reshape(steps, DEPTH // 2, 2, COLUMNS).transpose(2, 3).contiguous()
    offsets = torch.arange(steps) * (rows * DEPTH)
    result = torch.full([rows, COLUMNS], float("nan")) if out is None else out.clone()
    cpu_library().call(
        "bf16_product",
        Bf16ProductParams(
            a=address(by_step), offsets=address(offsets), a_step=DEPTH, panel=address(panel), steps=steps,
            rows=rows, out=address(result), accumulate=out is not None, instructions=instructions,
        ),
    )  # fmt: skip
    return result


def bfloat16(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


@pytest.mark.parametrize("instructions", EMULATIONS)
@settings(max_examples=20, deadline=None)
@given(blocks=st.integers(1, 3), steps=st.integers(1, 5), seed=st.integers(0, 99), accumulate=st.booleans())
def test_products_are_those_of_float64(instructions, blocks, steps, seed, accumulate) -> None:
    a, b = bfloat16(blocks * ROWS, steps * DEPTH, seed=seed), bfloat16(steps * DEPTH, COLUMNS, seed=seed + 1)
    before = bfloat16(blocks * ROWS, COLUMNS).float() if accumulate else None
    expected = a.double() @ b.double() + (0 if before is None else before.double())
    # Each of at most 161 sums is rounded to 24 bits; their terms' magnitudes bound all of them.
    bound = 161 * 2.0**-24 * (a.double().abs() @ b.double().abs() + 10)
    assert ((product(instructions, a, b, before).double() - expected).abs() <= bound).all()


def single(instructions, a, b, before=0.0):
    """One row and column: the sum over the given values of a and b, which fill the first depths."""
    left, right = torch.zeros(ROWS, DEPTH).bfloat16(), torch.zeros(DEPTH, COLUMNS).bfloat16()
    left[3, : len(a)], right[: len(b), 5] = torch.tensor(a).bfloat16(), torch.tensor(b).bfloat16()
    return product(instructions, left, right, torch.full([ROWS, COLUMNS], before))[3, 5].item()


def test_sums_are_rounded_in_the_order_of_the_instructions() -> None:
    """2^24 + 1 is not a float32 number, so that the order of the sums shows."""
    a, b = [2.0**24, 1.0, -(2.0**24), 1.0], [1.0] * 4
    # The second elements apart (1 + 1), then added to the first ones (2^24 - 2^24).
    assert single(Instructions.EMULATED_AMX, a, b) == 2
    # Pair by pair, the second element first: 0 + 1 + 2^24 = 2^24, + 1 = 2^24 (to even), - 2^24 = 0.
    assert single(Instructions.EMULATED_AVX512_BF16, a, b) == 0


@pytest.mark.parametrize("instructions", EMULATIONS)
def test_subnormal_numbers_count_as_zero_and_become_zero(instructions) -> None:
    assert single(instructions, [2.0**-127], [2.0**100]) == 0  # a subnormal operand
    assert single(instructions, [2.0**-126], [2.0**100]) == 2.0**-26
    assert single(instructions, [2.0**-64], [2.0**-64]) == 0  # a subnormal product, 2^-128
    assert single(instructions, [0.0], [1.0], before=2.0**-127) == 0  # a subnormal sum


@pytest.mark.parametrize("instructions", EMULATIONS)
def test_nan_and_infinity_propagate(instructions) -> None:
    assert single(instructions, [math.inf, 1.0], [2.0, 1.0]) == math.inf
    assert math.isnan(single(instructions, [math.inf, math.inf], [1.0, -1.0]))
    assert math.isnan(single(instructions, [math.nan], [0.0]))
    a, b = bfloat16(ROWS, DEPTH), bfloat16(DEPTH, COLUMNS)
    a[7, 9] = math.nan
    result = product(instructions, a, b)
    assert result[7].isnan().all()
    assert result.isnan().sum() == COLUMNS


OSXSAVE, AVX512F, AMX, AVX512_BF16 = 1 << 27, 1 << 16, 1 << 22 | 1 << 24, 1 << 5
SAPPHIRE_RAPIDS = {
    "leaf1_ecx": OSXSAVE, "leaf7_ebx": AVX512F, "leaf7_edx": AMX, "leaf7_1_eax": AVX512_BF16,
    "xcr0": 0x600E7, "tiles_permitted": 1,
}  # fmt: skip
ZEN_4 = SAPPHIRE_RAPIDS | {"leaf7_edx": 0, "xcr0": 0xE7, "tiles_permitted": 0}


def decided(**state: int) -> Instructions:
    cpu = Bf16CpuState(**state)
    cpu_library().call("bf16_decide", cpu)
    return chosen(cpu)


def test_amx_comes_before_avx512() -> None:
    assert decided(**SAPPHIRE_RAPIDS) == Instructions.AMX
    assert decided(**ZEN_4) == Instructions.AVX512_BF16
    assert decided(**SAPPHIRE_RAPIDS | {"tiles_permitted": 0}) == Instructions.AVX512_BF16
    assert decided(**SAPPHIRE_RAPIDS | {"xcr0": 0xE7}) == Instructions.AVX512_BF16
    for half in (1 << 22, 1 << 24):  # tiles without products of bfloat16, or the other way about
        assert decided(**SAPPHIRE_RAPIDS | {"leaf7_edx": half}) == Instructions.AVX512_BF16


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, "lacks AVX512-BF16"),
        ({"leaf1_ecx": OSXSAVE, "leaf7_ebx": AVX512F, "xcr0": 0xE7}, "lacks AVX512-BF16"),
        (ZEN_4 | {"leaf7_1_eax": 0}, "lacks AVX512-BF16"),
        (SAPPHIRE_RAPIDS | {"xcr0": 0x07}, "has AVX512-BF16, but the operating system"),
        (ZEN_4 | {"xcr0": 0x27}, "has AVX512-BF16, but the operating system"),
        (ZEN_4 | {"leaf1_ecx": 0}, "has AVX512-BF16, but the operating system"),
        (ZEN_4 | {"leaf7_ebx": 0}, "lacks AVX512-BF16"),
    ],
)
def test_a_cpu_that_cannot_says_why(state, reason) -> None:
    with pytest.raises(Unavailable, match=reason):
        decided(**state)


def test_instructions_that_this_cpu_lacks_are_refused_rather_than_run() -> None:
    state = Bf16CpuState()
    cpu_library().call("bf16_inspect", state)
    a, b = bfloat16(ROWS, DEPTH), bfloat16(DEPTH, COLUMNS)
    for instructions, usability in (
        (Instructions.AMX, state.amx),
        (Instructions.AVX512_BF16, state.avx512_bf16),
    ):
        if usability == 2:
            assert torch.equal(product(instructions, a, b), product(instructions.emulation, a, b))
        else:
            with pytest.raises(AssertionError, match="does not support"):
                product(instructions, a, b)
    try:
        assert fastest_instructions(cpu_library()) in (Instructions.AMX, Instructions.AVX512_BF16)
    except Unavailable as error:
        assert "bf16" not in str(error)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86_64 CPUs")
@pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump")
def test_the_library_contains_the_instructions_in_their_own_functions_only() -> None:
    """A machine without them builds them too, and never runs them."""
    code = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", cpu_library().path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    using: dict[str, set[str]] = {}
    for block in code.split("\n\n"):
        found = set(
            re.findall(r"\b(tdpbf16ps|tileloadd|tilestored|ldtilecfg|tilerelease|vdpbf16ps)\b", block)
        )
        if found:
            using[re.findall(r"<(\w+)>:", block)[0]] = found
    tiles = next(name for name in using if "multiply_in_tiles" in name and "AmxTiles" in name)
    rows = next(name for name in using if "multiply_in_rows" in name and "Avx512Vectors" in name)
    assert using.pop(tiles) == {"tdpbf16ps", "tileloadd", "tilestored", "ldtilecfg", "tilerelease"}
    assert using.pop(rows) == {"vdpbf16ps"}
    assert not using

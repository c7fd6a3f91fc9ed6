"""Precision of the products in the convolutions of the generator on a CPU."""

from typing import Annotated, Literal

from pydantic import Field

ConvolutionPrecision = Literal["float32", "bfloat16"]

PrecisionOnCpu = Annotated[
    ConvolutionPrecision,
    Field(
        description="on a CPU with AMX or AVX512-BF16, bfloat16 lets the 3x3 convolutions round the operands "
        "of their products to 8 significant bits; another CPU computes in float32, and says so. On a GPU "
        "only float32 is accepted, since num_fp16_res and half_dtype choose there",
    ),
]

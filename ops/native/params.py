"""The structs of `csrc/params.h`, field by field, and the conversion of tensors to their fields."""

import ctypes
from typing import Any

import torch

from morphoscope.ops.checks import FLOATING

SCALAR_TYPES = {dtype: code for code, dtype in enumerate(FLOATING)}
ACTIVATION_CODES = {
    name: code
    for code, name in enumerate(
        ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")
    )
}

_POINTER = ctypes.c_void_p
_INT = ctypes.c_int64
_DOUBLE = ctypes.c_double


class BiasActParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("x", "b", "u", "y")],
        *[
            (name, _INT)
            for name in ("size", "bias_size", "bias_step", "dtype", "activation", "order", "from_output")
        ],
        *[(name, _DOUBLE) for name in ("alpha", "gain", "clamp")],
    ]


class Epilogue(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("scale", "noise", "b")],
        ("noise_stride", _INT),
        ("activation", _INT),
        *[(name, _DOUBLE) for name in ("alpha", "gain", "clamp")],
    ]


class Upfirdn2dParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("x", "f", "y")],
        ("dtype", _INT),
        *[(name, _INT * 4) for name in ("in_size", "in_stride", "out_size", "out_stride")],
        *[(name, _INT) for name in ("fw", "fh", "separable", "flip")],
        *[(name, _INT) for name in ("up_x", "up_y", "down_x", "down_y", "pad_x0", "pad_y0")],
        ("gain", _DOUBLE),
        ("has_epilogue", _INT),
        ("epilogue", Epilogue),
    ]


class ScaledBiasActParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("x", "u", "y", "dx", "dscale", "dnoise", "db")],
        *[(name, _INT) for name in ("dtype", "n", "pixels", "c")],
        ("epilogue", Epilogue),
    ]


class GridSampleParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("x", "grid", "y")],
        ("dtype", _INT),
        ("image_size", _INT * 4),
        ("image_stride", _INT * 4),
        ("sample_size", _INT * 2),
        ("sample_stride", _INT * 4),
    ]


class Conv3x3Params(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("x", "weight", "s", "f", "y")],
        *[
            (name, _INT)
            for name in ("dtype", "mode", "n", "h", "w", "c", "o", "instructions", "has_epilogue")
        ],
        ("epilogue", Epilogue),
    ]


class PackParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("w", "packed")],
        *[
            (name, _INT)
            for name in ("dtype", "c", "o", "stride_o", "stride_c", "stride_y", "stride_x", "mode")
        ],
    ]


class WeightGradientParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("x", "dy", "dw")],
        *[(name, _INT) for name in ("dtype", "mode", "n", "h", "w", "c", "o", "instructions")],
    ]


class Bf16CpuState(ctypes.Structure):
    _fields_ = [
        *[(name, _INT) for name in ("leaf1_ecx", "leaf7_ebx", "leaf7_edx", "leaf7_1_eax", "xcr0")],
        *[(name, _INT) for name in ("tiles_permitted", "amx", "avx512_bf16")],
    ]


class Bf16ProductParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("a", "offsets")],
        ("a_step", _INT),
        ("panel", _POINTER),
        *[(name, _INT) for name in ("steps", "rows")],
        ("out", _POINTER),
        *[(name, _INT) for name in ("accumulate", "instructions")],
    ]


class ChecksumParams(ctypes.Structure):
    _fields_ = [("data", _POINTER), ("bytes", _INT), ("checksum", _INT)]


class RowProductsParams(ctypes.Structure):
    _fields_ = [
        *[(name, _POINTER) for name in ("x", "w", "y")],
        *[(name, _INT) for name in ("dtype", "batches", "rows", "columns", "depth", "w_batch_stride")],
    ]


def address(tensor: torch.Tensor | None) -> int | None:
    """Address of a tensor's first element; None is a null pointer."""
    return None if tensor is None else tensor.data_ptr()


def four(values: Any) -> Any:
    """Sizes or strides of a 4-D tensor as the struct's array."""
    return (_INT * 4)(*values)


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type in which kernels of `dtype` accumulate, and in which they take small operands."""
    return torch.float64 if dtype == torch.float64 else torch.float32

"""Tensor operations of StyleGAN2-ADA, each differentiable twice.

The package does not depend on the rest of Morphoscope, apart from `runtime` and `configs`, so that other
projects can import it.
"""

from morphoscope.ops.bias_act import bias_act
from morphoscope.ops.conv2d_resample import conv2d_resample
from morphoscope.ops.dispatch import backend
from morphoscope.ops.doctor import doctor
from morphoscope.ops.epilogue import epilogue
from morphoscope.ops.filters import setup_filter
from morphoscope.ops.grid_sample import grid_sample
from morphoscope.ops.modulated_conv2d import modulated_conv2d
from morphoscope.ops.modulated_layer import modulated_layer
from morphoscope.ops.upfirdn2d import downsample2d, filter2d, upfirdn2d, upsample2d

__all__ = [
    "backend",
    "bias_act",
    "conv2d_resample",
    "doctor",
    "downsample2d",
    "epilogue",
    "filter2d",
    "grid_sample",
    "modulated_conv2d",
    "modulated_layer",
    "setup_filter",
    "upfirdn2d",
    "upsample2d",
]

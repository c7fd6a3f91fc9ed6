"""The operations on a GPU: bindings from tensors to the CUDA kernels of `csrc/cuda`."""

"""The operations on a GPU: tensors to the CUDA kernels of `csrc/cuda`."""

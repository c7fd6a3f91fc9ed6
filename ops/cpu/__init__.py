"""The operations on a CPU: bindings from tensors to the C++ kernels of `csrc/cpu`."""

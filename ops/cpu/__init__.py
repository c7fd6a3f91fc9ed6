"""The operations on a CPU: tensors to the C++ kernels of `csrc/cpu`."""

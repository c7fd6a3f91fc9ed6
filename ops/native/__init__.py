"""Native kernels from the sources in `csrc/`: compilers, build cache, loading and launching."""

"""From the sources in `csrc/` to kernels that run: compilers, build cache, loading, launching."""

// What the kernels need from their compiler. nvcc and NVRTC read the same text and only our headers, so that no
// include folder of the toolkit or of torch has to be found. tests/ops/cuda/emulation/ takes their place where
// g++ compiles the kernels to run on a CPU.
#pragma once

#include "../params.h"

#ifdef __CUDACC__
#define KERNEL(name, Params, threads) \
    extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Params p)
#define SHARED(type, name, count) __shared__ alignas(16) type name[count]
#endif

struct Half {
    unsigned short bits;
};

struct BFloat16 {
    unsigned short bits;
};

#ifdef __CUDACC__
__device__ inline float widen(Half x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

__device__ inline void narrow(float x, Half& y) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); }

__device__ inline float widen(BFloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }

__device__ inline void narrow(float x, BFloat16& y) {
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else  // to nearest, ties to even
    const unsigned bits = __float_as_uint(x);
    y.bits = x != x ? 0x7fff : (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
#endif
}
#endif

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline void narrow(float x, float& y) { y = x; }
__device__ inline void narrow(double x, double& y) { y = x; }

template <typename T>
struct AccumulationOf {
    typedef float type;
};
template <>
struct AccumulationOf<double> {
    typedef double type;
};
// The type in which kernels of T compute, and in which they take small operands.
template <typename T>
using Accumulation = typename AccumulationOf<T>::type;

// Number of T that one 16-byte access moves.
template <typename T>
struct Vector {
    static constexpr int size = 16 / (int)sizeof(T);
};

// V neighbours in memory, moved in accesses of up to 16 bytes; the address must be a multiple of that.
template <typename T, int V>
struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Pack {
    T at[V];
};

template <int V, typename T>
__device__ inline void load(const T* from, Accumulation<T> (&into)[V]) {
    const Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
#pragma unroll
    for (int k = 0; k < V; k++) into[k] = widen(pack.at[k]);
}

template <int V, typename T>
__device__ inline void store(T* into, const Accumulation<T> (&from)[V]) {
    Pack<T, V> pack;
#pragma unroll
    for (int k = 0; k < V; k++) narrow(from[k], pack.at[k]);
    *reinterpret_cast<Pack<T, V>*>(into) = pack;
}

// V neighbours, or the first one V times.
template <bool Neighbours, int V, typename A>
__device__ inline void load_or_fill(const A* from, A (&into)[V]) {
    if constexpr (Neighbours) return load<V>(from, into);
    const A value = *from;
#pragma unroll
    for (int k = 0; k < V; k++) into[k] = value;
}

// Load Count values in accesses of `Size`; the last access may read beyond them.
template <int Size, int Count, typename A>
__device__ inline void load_in_steps(const A* from, A (&into)[Count]) {
#pragma unroll
    for (int start = 0; start < Count; start += Size) {
        const Pack<A, Size> pack = *reinterpret_cast<const Pack<A, Size>*>(from + start);
#pragma unroll
        for (int k = 0; k < Size && start + k < Count; k++) into[start + k] = pack.at[k];
    }
}

template <int V, typename T>
__device__ inline bool is_aligned(const T* address) {
    return reinterpret_cast<unsigned long long>(address) % alignof(Pack<T, V>) == 0;
}

__device__ inline int64 thread_index() { return (int64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline int64 thread_count() { return (int64)gridDim.x * blockDim.x; }

// Split a flat index, fastest axis first: returns index % size and leaves index / size. Sizes are 64-bit
// everywhere; the compiler's 64-bit division takes a 32-bit shortcut whenever both numbers fit.
__device__ inline int64 split(int64& index, int64 size) {
    const int64 quotient = index / size;
    const int64 remainder = index - quotient * size;
    index = quotient;
    return remainder;
}

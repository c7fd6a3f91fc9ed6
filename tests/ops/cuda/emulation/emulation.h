// What CUDA's compilers provide to the kernels, for g++: kernels run on a CPU, each thread of a block as a fiber.
#pragma once

#include <math.h>

#include <cstring>

#define __device__
#define __noinline__ __attribute__((noinline))

struct Dimensions {
    unsigned x, y, z;
};

extern Dimensions threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
void __syncwarp();

// Threads never run at the same time.
template <typename T>
T atomicAdd(T* address, T value) {
    const T before = *address;
    *address += value;
    return before;
}

namespace emulation {

// A kernel by its name, as the driver finds it.
struct Kernel {
    void (*run)(const void* params);
    unsigned most_threads;

    Kernel(const char* name, void (*run)(const void*), unsigned most_threads);
};

// Fill shared memory with NaN when a block's first thread gets there, so that reading unwritten memory is noticed.
void spoil_once_a_block(void* memory, unsigned long size);

}  // namespace emulation

#define KERNEL(name, Params, threads) \
    static void name(const Params& p); \
    static emulation::Kernel name##_kernel( \
        #name, [](const void* p) { name(*static_cast<const Params*>(p)); }, threads \
    ); \
    static void name(const Params& p)

#define SHARED(type, name, count) \
    alignas(16) static type name[count]; \
    emulation::spoil_once_a_block(name, sizeof(name))

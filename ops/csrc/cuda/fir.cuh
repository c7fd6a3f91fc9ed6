// How the fast filters divide an axis into runs of outputs, so that every index is a compile-time constant.
//
// Output o is the sum over k of tap[k] * upsampled[o * Down + k - pad]; upsampled[m] is x[m / Up] if Up divides
// m, otherwise 0. Every run starts at the phase of `o * Down - pad == 0`: with Up 2 and an odd pad, the first run
// starts one before the first output. Resampling both up and down has no such start.
#pragma once

#include "activation.cuh"

template <int Up, int Down, int Taps>
struct Fir {
    static_assert(Up == 1 || (Up == 2 && Down == 1), "only these factors have a fixed phase");

    // Number of inputs under a run of outputs that starts in phase.
    static constexpr __device__ int window(int outputs) { return ((outputs - 1) * Down + Taps - 1) / Up + 1; }
    // The tap that input w of a window meets for output o of the run; outside [0, Taps) there is none.
    static constexpr __device__ int tap(int w, int o) { return w * Up - o * Down; }

    static __device__ int shift(int64 pad) { return Up == 1 ? 0 : int(pad & 1); }
    static __device__ int64 runs(int64 outputs, int64 pad, int length) {
        return (outputs + shift(pad) + length - 1) / length;
    }
    static __device__ int first_output(int64 run, int64 pad, int length) {
        return int(run * length) - shift(pad);
    }
    static __device__ int first_input(int first_output, int64 pad) {
        return (first_output * Down - int(pad)) / Up;
    }
};

// Taps in the order in which they meet the inputs (a convolution's are reversed), times a gain.
template <int Taps, typename A>
__device__ inline void load_taps(const void* f, int64 flip, A gain, A (&taps)[Taps]) {
#pragma unroll
    for (int k = 0; k < Taps; k++) taps[k] = ((const A*)f)[flip ? k : Taps - 1 - k] * gain;
}

// Each axis has fewer than 2^31 elements; the whole tensor may have more.
__device__ inline bool inside(int at, int64 size) { return at >= 0 && at < (int)size; }

__device__ inline int64 offset(const int64 (&stride)[4], int64 n, int64 c, int64 y, int64 x) {
    return n * stride[0] + c * stride[1] + y * stride[2] + x * stride[3];
}

// Address of one output's noise; only to be used if there is noise.
template <typename A>
__device__ inline const A* noise_at(const Upfirdn2dParams& p, int64 n, int64 y, int64 x) {
    return (const A*)p.epilogue.noise + n * p.epilogue.noise_stride + y * p.out_size[3] + x;
}

// Copy the tile of inputs that starts at (in_y, in_x) to shared memory, with zeros outside the image. Offsets
// within a tile are 32-bit; ops/cuda/upfirdn2d.py makes sure that rows are short enough.
template <int Height, int Width, int Pitch, int Threads, typename T>
__device__ inline void load_tile(
    const Upfirdn2dParams& p, const T* plane, int in_y, int in_x, int thread, Accumulation<T>* tile
) {
    const T* corner = plane + in_y * p.in_stride[2] + in_x * p.in_stride[3];
    const int stride_y = (int)p.in_stride[2], stride_x = (int)p.in_stride[3];
#pragma unroll 4
    for (int i = thread; i < Height * Width; i += Threads) {
        const int y = i / Width, x = i % Width;
        Accumulation<T> v = 0;
        if (inside(in_y + y, p.in_size[2]) && inside(in_x + x, p.in_size[3]))
            v = widen(corner[y * stride_y + x * stride_x]);
        tile[y * Pitch + x] = v;
    }
}

// Apply the epilogue, if any, to V neighbouring columns, and store those that lie inside the image.
template <int V, typename T>
__device__ inline void store_run(
    const Upfirdn2dParams& p, const ActivationOptions<Accumulation<T>>& options,
    const ChannelTerms<1, Accumulation<T>>& terms, int64 n, int64 c, int y, int x, Accumulation<T> (&v)[V],
    T* out
) {
    typedef Accumulation<T> A;
    if (p.has_epilogue) {
        A noise[V] = {};
#pragma unroll
        for (int k = 0; k < V; k++)
            if (p.epilogue.noise && inside(x + k, p.out_size[3])) noise[k] = *noise_at<A>(p, n, y, x + k);
        apply(options, terms, noise, v);
    }
    out += offset(p.out_stride, n, c, y, x);
    const bool whole = inside(x, p.out_size[3]) && inside(x + V - 1, p.out_size[3]);
    if (whole && p.out_stride[3] == 1 && is_aligned<V>(out)) return store<V>(out, v);
#pragma unroll
    for (int k = 0; k < V; k++)
        if (inside(x + k, p.out_size[3])) narrow(v[k], out[k * p.out_stride[3]]);
}

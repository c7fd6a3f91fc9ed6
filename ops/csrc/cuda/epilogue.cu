// A filter of one tap without resampling, then the epilogue, in one pass over dense memory.
#include "fir.cuh"

// V elements per thread: neighbours in one channel's plane or, with Channels, channels of one pixel.
template <bool Channels, int V, typename T>
__device__ inline void epilogue(const Upfirdn2dParams& p) {
    typedef Accumulation<T> A;
    const ActivationOptions<A> options(p.epilogue, false);
    const A tap = *(const A*)p.f * A(p.gain);
    const int64 channels = p.out_size[1], pixels = p.out_size[2] * p.out_size[3];
    const int64 vectors = p.out_size[0] * channels * pixels / V;
    for (int64 i = thread_index(); i < vectors; i += thread_count()) {
        int64 n = i * V;
        const int64 inner = split(n, Channels ? channels : pixels);
        const int64 outer = split(n, Channels ? pixels : channels);
        const int64 c = Channels ? inner : outer, pixel = Channels ? outer : inner;
        A v[V];
        load<V>((const T*)p.x + i * V, v);
#pragma unroll
        for (int k = 0; k < V; k++) v[k] *= tap;
        if (p.has_epilogue) {
            A noise[V] = {};
            if (p.epilogue.noise) load_or_fill<!Channels>(noise_at<A>(p, n, 0, pixel), noise);
            apply(options, ChannelTerms<Channels ? V : 1, A>(p.epilogue, n, c, channels), noise, v);
        }
        store<V>((T*)p.y + i * V, v);
    }
}

// A vector must not straddle two planes (or pixels); where it would, V is 1.
template <bool Channels, typename T>
__device__ inline void epilogue(const Upfirdn2dParams& p) {
    constexpr int V = Vector<T>::size;
    const int64 inner = Channels ? p.out_size[1] : p.out_size[2] * p.out_size[3];
    if (inner % V == 0 && is_aligned<V>((const T*)p.x) && is_aligned<V>((const T*)p.y))
        epilogue<Channels, V, T>(p);
    else
        epilogue<Channels, 1, T>(p);
}

#define EPILOGUE(T, type) \
    KERNEL(epilogue_planes_##type, Upfirdn2dParams, 256) { epilogue<false, T>(p); } \
    KERNEL(epilogue_channels_##type, Upfirdn2dParams, 256) { epilogue<true, T>(p); }

EPILOGUE(float, float32)
EPILOGUE(double, float64)
EPILOGUE(Half, float16)
EPILOGUE(BFloat16, bfloat16)

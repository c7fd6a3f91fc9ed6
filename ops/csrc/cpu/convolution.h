// What the convolutions of this folder share: how work is divided, and the pass after the products.
#pragma once

#include <algorithm>

#include <omp.h>

#include "cpu/gemm.h"
#include "cpu/memory.h"

constexpr int64 CACHE_BYTES = 1 << 20;  // of operands of one step of the work, so that they stay in the cache

// y = clamp(gain * act(v * scale + noise + b)) for one vector of channels; `act` is linear or leaky ReLU.
template <class T>
struct Finish {
    const T *scale, *noise, *b;
    int64 noise_stride;
    T slope, gain, clamp;
    bool nothing;

    explicit Finish(const Epilogue* e) : nothing(e == nullptr) {
        if (nothing) return;
        scale = static_cast<const T*>(e->scale);
        noise = static_cast<const T*>(e->noise);
        b = static_cast<const T*>(e->b);
        noise_stride = e->noise_stride;
        slope = e->activation == LINEAR ? 1 : e->activation == RELU ? 0 : T(e->alpha);
        gain = T(e->gain);
        clamp = T(e->clamp);
    }

    // `v` starts at channel c (of `channels`) of sample n; `at` is the pixel's index within its image.
    Vector<T> operator()(Vector<T> v, int64 n, int64 channels, int64 c, int64 at) const {
        if (nothing) return v;
        if (scale) v *= load(scale + n * channels + c);
        if (noise) v += broadcast(noise[n * noise_stride + at]);
        if (b) v += load(b + c);
        v = v > 0 ? v : v * slope;
        v *= gain;
        if (clamp >= 0) {
            v = v > clamp ? broadcast(clamp) : v;
            v = v < -clamp ? broadcast(-clamp) : v;
        }
        return v;
    }
};

// sum[c][0 … PANEL) += x[pixel][c] times dy[pixel][0 … PANEL) over all pixels, for every channel c; the operands'
// taps are rows of pixels, and `panel` is dy.
template <class T>
inline void multiply_transposed(int64 channels, const T* x, Operands<T> pixels, T* sum, int64 sum_step) {
    for (int64 c = 0; c < channels; c += BLOCK_ROWS) {
        const int count = int(std::min<int64>(BLOCK_ROWS, channels - c));
        const T* rows[BLOCK_ROWS];
        T* out[BLOCK_ROWS];
        for (int m = 0; m < count; m++) {
            rows[m] = x + c + m;
            out[m] = sum + (c + m) * sum_step;
        }
        pixels.rows = rows;
        multiply<T, true>(count, pixels, out);
    }
}

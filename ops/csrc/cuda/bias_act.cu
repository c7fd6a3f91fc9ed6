// y = clamp(gain * act(x + b)), or u times its derivative of order 1 or 2 (ops/bias_act.py), over dense memory
// with its axes in any order: one pass of 16-byte accesses, limited by memory bandwidth.
#include "activation.cuh"

// Add the biases of elements i … i + V - 1 of memory. The first branch serves NCHW, the second NHWC.
template <int V, typename A>
__device__ inline void add_bias(const BiasActParams& p, int64 i, A (&x)[V]) {
    const A* b = (const A*)p.b;
    int64 row = i;
    int64 within = split(row, p.bias_step);
    int64 at = row % p.bias_size;
    if (p.bias_step % V == 0) {
        const A bias = b[at];
#pragma unroll
        for (int k = 0; k < V; k++) x[k] += bias;
    } else if (p.bias_step == 1 && p.bias_size % V == 0 && is_aligned<V>(b)) {
        A bias[V];
        load<V>(b + at, bias);
#pragma unroll
        for (int k = 0; k < V; k++) x[k] += bias[k];
    } else {
#pragma unroll
        for (int k = 0; k < V; k++) {
            x[k] += b[at];
            if (++within < p.bias_step) continue;
            within = 0;
            at = at + 1 == p.bias_size ? 0 : at + 1;
        }
    }
}

template <int Order, int V, typename T>
__device__ inline void bias_act_at(const BiasActParams& p, int64 i) {
    typedef Accumulation<T> A;
    A x[V], u[V] = {};
    load<V>((const T*)p.x + i, x);
    if constexpr (Order > 0) load<V>((const T*)p.u + i, u);
    if (p.b) add_bias<V>(p, i, x);
    activate_all<Order>(ActivationOptions<A>(p, p.from_output), x, u);
    store<V>((T*)p.y + i, x);
}

template <int Order, typename T>
__device__ inline void bias_act(const BiasActParams& p) {
    constexpr int V = Vector<T>::size;
    const bool aligned =
        is_aligned<V>((const T*)p.x) && is_aligned<V>((const T*)p.y) && is_aligned<V>((const T*)p.u);
    const int64 vectors = aligned ? p.size / V : 0, step = thread_count();
    for (int64 i = thread_index(); i < vectors; i += step) bias_act_at<Order, V, T>(p, i * V);
    for (int64 i = vectors * V + thread_index(); i < p.size; i += step) bias_act_at<Order, 1, T>(p, i);
}

#define BIAS_ACT(order, T, type) \
    KERNEL(bias_act_##order##_##type, BiasActParams, 256) { bias_act<order, T>(p); }
#define BIAS_ACT_ORDERS(T, type) BIAS_ACT(0, T, type) BIAS_ACT(1, T, type) BIAS_ACT(2, T, type)

BIAS_ACT_ORDERS(float, float32)
BIAS_ACT_ORDERS(double, float64)
BIAS_ACT_ORDERS(Half, float16)
BIAS_ACT_ORDERS(BFloat16, bfloat16)

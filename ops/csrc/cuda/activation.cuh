// Activations and their first two derivatives, with gain and clamp, and the epilogue of the filters.
#pragma once

#include "platform.cuh"

template <typename A>
struct ActivationOptions {
    int activation;
    bool from_output;  // for derivatives: x is the result of order 0
    A alpha, gain, clamp;

    template <typename Params>
    __device__ ActivationOptions(const Params& p, bool from_output)
        : activation((int)p.activation),
          from_output(from_output),
          alpha(A(p.alpha)),
          gain(A(p.gain)),
          clamp(A(p.clamp)) {}
};

// A piecewise linear activation: linear, relu or lrelu. The comparisons are written so that NaN stays NaN.
template <typename A>
struct PiecewiseLinear {
    bool flat;  // below zero the result is 0, not x * 0, which could be NaN
    A slope;

    __device__ explicit PiecewiseLinear(const ActivationOptions<A>& o)
        : flat(o.activation == RELU), slope(o.activation == LRELU ? o.alpha : A(1)) {}
    __device__ A value(A x) const { return x > A(0) ? x : flat && x <= A(0) ? A(0) : x * slope; }
    template <int Order>
    __device__ A derivative(A u, A x) const {
        if constexpr (Order == 2) return A(0);
        return x > A(0) ? u : flat && x <= A(0) ? A(0) : u * slope;
    }
};

constexpr double SELU_ALPHA = 1.6732632423543772848170429916717;
constexpr double SELU_SCALE = 1.0507009873554804934193349852946;
constexpr int SOFTPLUS_LINEAR_FROM = 20;  // torch's threshold

template <typename A>
__device__ inline A logistic(A x) {
    return A(1) / (A(1) + exp(-x));
}

// The other activations: Act is one of TANH … SWISH.
template <int Act, typename A>
struct Curved {
    __device__ A value(A x) const {
        if constexpr (Act == TANH) return tanh(x);
        if constexpr (Act == SIGMOID) return logistic(x);
        if constexpr (Act == ELU) return x > A(0) ? x : expm1(x);
        if constexpr (Act == SELU) return A(SELU_SCALE) * (x > A(0) ? x : A(SELU_ALPHA) * expm1(x));
        if constexpr (Act == SOFTPLUS) return x > A(SOFTPLUS_LINEAR_FROM) ? x : log1p(exp(x));
        if constexpr (Act == SWISH) return logistic(x) * x;
    }
    template <int Order>
    __device__ A derivative(A u, A x) const {
        constexpr bool first = Order == 1;
        if constexpr (Act == TANH) {
            const A t = tanh(x), slope = A(1) - t * t;
            return u * (first ? slope : A(-2) * t * slope);
        }
        if constexpr (Act == ELU) return u * (x > A(0) ? A(first) : exp(x));
        if constexpr (Act == SELU) return u * A(SELU_SCALE) * (x > A(0) ? A(first) : A(SELU_ALPHA) * exp(x));
        if constexpr (Act == SIGMOID || Act == SOFTPLUS || Act == SWISH) {
            const A s = logistic(x), slope = s * (A(1) - s), bend = A(1) - A(2) * s;
            if constexpr (Act == SIGMOID) return u * (first ? slope : slope * bend);
            if constexpr (Act == SOFTPLUS)
                return u * (x > A(SOFTPLUS_LINEAR_FROM) ? A(first) : first ? s : slope);
            if constexpr (Act == SWISH) return u * (first ? s + x * slope : slope * (A(2) + x * bend));
        }
    }
};

// clamp(gain * act(x)), or gain * u * (the derivative of act at x) where the clamp is not reached. A negative
// clamp is no limit. NaN passes, because every comparison with it is false.
template <int Order, typename Act, typename A>
__device__ inline A activated(const Act& act, const ActivationOptions<A>& o, A x, A u) {
    if constexpr (Order == 0) {
        const A y = act.value(x) * o.gain;
        if (o.clamp < A(0)) return y;
        return y < -o.clamp ? -o.clamp : y > o.clamp ? o.clamp : y;
    } else {
        if (o.clamp >= A(0)) {
            const A y = o.from_output ? x : act.value(x) * o.gain;
            if (fabs(y) >= o.clamp) return A(0);
        }
        return act.template derivative<Order>(u, x) * o.gain;
    }
}

// Out of line, one value at a time: the networks' activations are piecewise linear, and curved ones inlined in
// every kernel would make up most of the compiled code.
template <int Order, typename A>
__device__ __noinline__ void activate_curved(const ActivationOptions<A>& o, A* x, const A* u, int count) {
    for (int k = 0; k < count; k++) {
        switch (o.activation) {
            case TANH: x[k] = activated<Order>(Curved<TANH, A>(), o, x[k], u[k]); break;
            case SIGMOID: x[k] = activated<Order>(Curved<SIGMOID, A>(), o, x[k], u[k]); break;
            case ELU: x[k] = activated<Order>(Curved<ELU, A>(), o, x[k], u[k]); break;
            case SELU: x[k] = activated<Order>(Curved<SELU, A>(), o, x[k], u[k]); break;
            case SOFTPLUS: x[k] = activated<Order>(Curved<SOFTPLUS, A>(), o, x[k], u[k]); break;
            case SWISH: x[k] = activated<Order>(Curved<SWISH, A>(), o, x[k], u[k]); break;
        }
    }
}

// `activated` for a whole array, in place. Order 0 ignores u.
template <int Order, int V, typename A>
__device__ inline void activate_all(const ActivationOptions<A>& o, A (&x)[V], const A (&u)[V]) {
    if (o.activation <= LRELU) {
        const PiecewiseLinear<A> act(o);
#pragma unroll
        for (int k = 0; k < V; k++) x[k] = activated<Order>(act, o, x[k], u[k]);
    } else {  // copies, so that x itself can stay in registers
        A result[V], factor[V];
#pragma unroll
        for (int k = 0; k < V; k++) result[k] = x[k], factor[k] = u[k];
        activate_curved<Order>(o, result, factor, V);
#pragma unroll
        for (int k = 0; k < V; k++) x[k] = result[k];
    }
}

// Scale and bias of neighbouring channels of one sample; 1 and 0 where the epilogue has none.
template <int Channels, typename A>
struct ChannelTerms {
    A scale[Channels], b[Channels];

    __device__ ChannelTerms(const Epilogue& e, int64 n, int64 c, int64 channels) {
#pragma unroll
        for (int k = 0; k < Channels; k++) scale[k] = 1, b[k] = 0;
        if (e.scale) load<Channels>((const A*)e.scale + n * channels + c, scale);
        if (e.b) load<Channels>((const A*)e.b + c, b);
    }
};

// clamp(gain * act(v * scale + noise + b)) for V values: one per channel, or all of one channel.
template <int Channels, int V, typename A>
__device__ inline void apply(
    const ActivationOptions<A>& o, const ChannelTerms<Channels, A>& terms, const A (&noise)[V], A (&v)[V]
) {
#pragma unroll
    for (int k = 0; k < V; k++) {
        const int c = Channels == 1 ? 0 : k;
        v[k] = v[k] * terms.scale[c] + noise[k] + terms.b[c];
    }
    activate_all<0>(o, v, v);
}

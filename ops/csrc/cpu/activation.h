// The activations and their derivatives, a vector at a time. NaN and inf give what they give in torch.
#pragma once

#include "cpu/storage.h"

template <class V>
inline V absolute(V x) {
    return x < 0 ? -x : x;
}

// exp and expm1 by x = n ln 2 + r, |r| <= ln 2 / 2: 2^n times a Taylor polynomial in r.
template <class V>
struct Exponential {
    V p;            // exp(r) - 1
    V scale, rest;  // 2^n is their product, since n may be too small for one normal number

    explicit Exponential(V x) {
        typedef Lane<V> T;
        constexpr bool single = sizeof(T) == 4;
        constexpr int mantissa = single ? 23 : 52, bias = single ? 127 : 1023, degree = single ? 7 : 13;
        constexpr T low = single ? -104 : -746, high = single ? 89 : 710;  // beyond these the result is 0 or inf in T
        constexpr T ln2_high = single ? T(0x1.62ep-1) : T(0x1.62e42fefp-1);  // few digits: n times it is exact
        constexpr T ln2_low = single ? T(0x1.0bfbe8e7bcd5ep-15) : T(0x1.473de6af278edp-34);
        constexpr T shift = single ? T(0x1.8p23) : T(0x1.8p52);  // adding it rounds to an integer
        x = x > high ? broadcast(high) : x;
        x = x < low ? broadcast(low) : x;
        const V n = (x * T(1.4426950408889634) + shift) - shift;
        const V r = (x - n * ln2_high) - n * ln2_low;
        p = V{};
        T factorial = 1;
        T inverse[degree + 1];
        for (int k = 1; k <= degree; k++) inverse[k] = 1 / (factorial *= k);
#pragma GCC unroll 13
        for (int k = degree; k >= 1; k--) p = (p + inverse[k]) * r;
        const Bits<T> power = __builtin_convertvector(n, Bits<T>), half = power >> 1;
        scale = bit_cast<V>((half + bias) << mantissa);
        rest = bit_cast<V>((power - half + bias) << mantissa);
    }

    V exp() const { return (1 + p) * scale * rest; }
    V expm1() const { return p * scale * rest + (scale * rest - 1); }  // for x <= 0
};

template <class V>
inline V exponential(V x) {
    return Exponential<V>(x).exp();
}

template <class V>
inline V expm1_of_negative(V x) {
    return Exponential<V>(x).expm1();
}

template <class V>
inline V sigmoid(V x) {
    return 1 / (1 + exponential(-x));
}

template <class V>
inline V hyperbolic_tangent(V x) {
    const V e = expm1_of_negative(-2 * absolute(x));
    const V t = -e / (e + 2);
    return x < 0 ? -t : t;
}

// log(1 + t), 0 <= t <= 1, by the series of 2 artanh(t / (2 + t)).
template <class V>
inline V log1p_of_unit(V t) {
    constexpr int terms = sizeof(Lane<V>) == 4 ? 8 : 17;
    const V s = t / (2 + t), square = s * s;
    V sum{};
#pragma GCC unroll 17
    for (int k = terms - 1; k >= 0; k--) sum = sum * square + Lane<V>(2.0 / (2 * k + 1));
    return sum * s;
}

template <class V>
inline V softplus(V x) {
    const V positive = x > 0 ? x : V{};
    return x > 20 ? x : positive + log1p_of_unit(exponential(-absolute(x)));
}

constexpr double SELU_SCALE = 1.0507009873554805;
constexpr double SELU_ALPHA = 1.6732632423543772;

// act(x)
template <int ACT, class V>
inline V activate(V x, Lane<V> alpha) {
    typedef Lane<V> T;
    if constexpr (ACT == LINEAR) return x;
    if constexpr (ACT == RELU) return x < 0 ? V{} : x;
    if constexpr (ACT == LRELU) return x > 0 ? x : x * alpha;
    if constexpr (ACT == TANH) return hyperbolic_tangent(x);
    if constexpr (ACT == SIGMOID) return sigmoid(x);
    if constexpr (ACT == ELU) return x > 0 ? x : expm1_of_negative(x);
    if constexpr (ACT == SELU) return T(SELU_SCALE) * (x > 0 ? x : T(SELU_ALPHA) * expm1_of_negative(x));
    if constexpr (ACT == SOFTPLUS) return softplus(x);
    if constexpr (ACT == SWISH) return x * sigmoid(x);
}

// u times the derivative of act at x, of order 1 or 2
template <int ACT, int ORDER, class V>
inline V differentiate(V u, V x, Lane<V> alpha) {
    typedef Lane<V> T;
    constexpr bool first = ORDER == 1;
    const V one = broadcast(T(1)), zero{};
    if constexpr (ACT == LINEAR) return first ? u : zero;
    if constexpr (ACT == RELU) return !first ? zero : x <= 0 ? zero : u;
    if constexpr (ACT == LRELU) return !first ? zero : x > 0 ? u : u * alpha;
    if constexpr (ACT == TANH) {
        const V t = hyperbolic_tangent(x), d = 1 - t * t;
        return u * (first ? d : -2 * t * d);
    }
    if constexpr (ACT == ELU) return u * (x > 0 ? first ? one : zero : exponential(x));
    if constexpr (ACT == SELU)
        return u * (T(SELU_SCALE) * (x > 0 ? first ? one : zero : T(SELU_ALPHA) * exponential(x)));
    const V s = sigmoid(x), d = s * (1 - s);
    if constexpr (ACT == SIGMOID) return u * (first ? d : d * (1 - 2 * s));
    if constexpr (ACT == SOFTPLUS) return u * (x > 20 ? first ? one : zero : first ? s : d);
    if constexpr (ACT == SWISH) return u * (first ? s + x * d : d * (2 + x * (1 - 2 * s)));
}

template <int CODE>
struct Constant {
    static constexpr int value = CODE;
};

// Call run(Constant<code>()) for the code of an Activation.
template <class Run>
inline void with_activation(int64 code, Run run) {
    switch (code) {
        case LINEAR: return run(Constant<LINEAR>());
        case RELU: return run(Constant<RELU>());
        case LRELU: return run(Constant<LRELU>());
        case TANH: return run(Constant<TANH>());
        case SIGMOID: return run(Constant<SIGMOID>());
        case ELU: return run(Constant<ELU>());
        case SELU: return run(Constant<SELU>());
        case SOFTPLUS: return run(Constant<SOFTPLUS>());
        case SWISH: return run(Constant<SWISH>());
    }
}

// Numbers as tensors store them and as kernels compute with them: half types widen to float.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "cpu/memory.h"
#include "cpu/vector.h"
#include "params.h"

// g++ before 12 and clang before 15 have no _Float16 on x86, so half types hold bits.
struct Float16 {
    uint16_t bits;
};

struct BFloat16 {
    uint16_t bits;
};

template <class T>
struct AccumulationOf {
    typedef float type;
};
template <>
struct AccumulationOf<double> {
    typedef double type;
};
template <class T>
using Accumulation = typename AccumulationOf<T>::type;

// Vectors of integers as wide as T, with the same number of lanes.
template <class T>
struct BitsOf {
    typedef int32_t type;
};
template <>
struct BitsOf<double> {
    typedef int64_t type;
};
template <class T>
using Bits = Vector<typename BitsOf<T>::type>;

template <class T, class S>
inline T bit_cast(const S& from) {
    static_assert(sizeof(T) == sizeof(S));
    T to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

inline Vector<float> widen(const float* from) { return load(from); }

inline Vector<double> widen(const double* from) { return load(from); }

typedef uint16_t HalfBits __attribute__((vector_size(VECTOR_BYTES / 2)));

inline Vector<float> widen(const Float16* from) {
    HalfBits v;
    std::memcpy(&v, from, sizeof(v));
    const auto h = __builtin_convertvector(v, Vector<uint32_t>);
    const Vector<uint32_t> magnitude = (h & 0x7fff) << 13;  // in float's fields, with the exponent of a half
    const Vector<uint32_t> normal = magnitude + (112u << 23);
    const Vector<float> subnormal = bit_cast<Vector<float>>(magnitude + (113u << 23)) - 0x1p-14f;
    const Vector<uint32_t> finite = magnitude < (1u << 23) ? bit_cast<Vector<uint32_t>>(subnormal) : normal;
    const Vector<uint32_t> all = magnitude >= (31u << 23) ? magnitude | (255u << 23) : finite;  // infinities, NaN
    return bit_cast<Vector<float>>(all | (h & 0x8000) << 16);
}

inline Vector<float> widen(const BFloat16* from) {
    HalfBits v;
    std::memcpy(&v, from, sizeof(v));
    return bit_cast<Vector<float>>(__builtin_convertvector(v, Vector<uint32_t>) << 16);
}

inline void narrow(float* to, Vector<float> v) { store(to, v); }

inline void narrow(double* to, Vector<double> v) { store(to, v); }

inline void narrow(Float16* to, Vector<float> v) {
    const auto bits = bit_cast<Vector<uint32_t>>(v);
    const Vector<uint32_t> magnitude = bits & 0x7fffffff;
    const Vector<uint32_t> normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    // Subnormal halves are multiples of 2^-24, the value of the last bit of 0.5f.
    const Vector<uint32_t> subnormal = bit_cast<Vector<uint32_t>>(bit_cast<Vector<float>>(magnitude) + 0.5f) - (126u << 23);
    const Vector<uint32_t> rounded = magnitude < (113u << 23) ? subnormal : normal;
    const Vector<uint32_t> limited = magnitude >= (143u << 23) ? Vector<uint32_t>{} + 0x7c00 : rounded;
    const Vector<uint32_t> kept = v == v ? limited : Vector<uint32_t>{} + 0x7e00;
    const HalfBits h = __builtin_convertvector(kept | (bits & 0x80000000) >> 16, HalfBits);
    std::memcpy(to, &h, sizeof(h));
}

// The bits of float32 numbers of which the upper halves are the bfloat16 ones: to nearest, ties to even.
inline Vector<uint32_t> rounded_to_bfloat16(Vector<float> v) {
    const auto bits = bit_cast<Vector<uint32_t>>(v);
    return v == v ? bits + 0x7fff + ((bits >> 16) & 1) : Vector<uint32_t>{} + 0x7fc00000;
}

inline void narrow(BFloat16* to, Vector<float> v) {
    const HalfBits h = __builtin_convertvector(rounded_to_bfloat16(v) >> 16, HalfBits);
    std::memcpy(to, &h, sizeof(h));
}

inline float widen_one(float x) { return x; }

inline double widen_one(double x) { return x; }

inline float widen_one(Float16 x) {
    const Float16 lanes[LANES<float>] = {x};
    return widen(lanes)[0];
}

inline float widen_one(BFloat16 x) { return bit_cast<float>(uint32_t(x.bits) << 16); }

// Only the first `count` lanes of a vector, or all of them. Further lanes are read as zero and not written.
template <class T>
inline Vector<Accumulation<T>> widen(const T* from, int64 count) {
    if (count >= LANES<Accumulation<T>>) return widen(from);
    T lanes[LANES<Accumulation<T>>] = {};
    std::memcpy(lanes, from, count * sizeof(T));
    return widen(lanes);
}

template <class T>
inline void narrow(T* to, Vector<Accumulation<T>> v, int64 count) {
    if (count >= LANES<Accumulation<T>>) return narrow(to, v);
    T lanes[LANES<Accumulation<T>>];
    narrow(lanes, v);
    std::memcpy(to, lanes, count * sizeof(T));
}

// The same for `count` values in memory.
template <class T>
inline void widen(Accumulation<T>* to, const T* from, int64 count) {
    if constexpr (std::is_same_v<T, Accumulation<T>>) {
        std::copy_n(from, count, to);
    } else {
        constexpr int64 lanes = LANES<float>;
        int64 j = 0;
        for (; j + lanes <= count; j += lanes) store(to + j, widen(from + j));
        if (j < count) narrow(to + j, widen(from + j, count - j), count - j);
    }
}

template <class T>
inline void narrow(T* to, const Accumulation<T>* from, int64 count) {
    if constexpr (std::is_same_v<T, Accumulation<T>>) {
        std::copy_n(from, count, to);
    } else {
        constexpr int64 lanes = LANES<float>;
        int64 j = 0;
        for (; j + lanes <= count; j += lanes) narrow(to + j, load(from + j));
        if (j < count) narrow(to + j, widen(from + j, count - j), count - j);
    }
}

// Answer with what run gives for a zero of the type that the ScalarType `code` stands for; 1 if there is no such type.
template <class Run>
inline int with_scalar_type(int64 code, Run run) {
    return answer([&] {
        switch (code) {
            case FLOAT32: return run(float());
            case FLOAT64: return run(double());
            case FLOAT16: return run(Float16());
            case BFLOAT16: return run(BFloat16());
        }
        return 1;
    });
}

// Vectors of the widest registers that this file is compiled for, by the compilers' vector extension: the
// same source serves AVX2, AVX-512, SSE and NEON.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#ifndef VECTOR_BYTES
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#endif

template <class T>
struct VectorOf {
    typedef T type __attribute__((vector_size(VECTOR_BYTES)));
};

template <class T>
using Vector = typename VectorOf<T>::type;

template <class V>
using Lane = std::remove_cvref_t<decltype(V{}[0])>;

template <class T>
constexpr int LANES = VECTOR_BYTES / sizeof(T);

template <class T>
inline Vector<T> load(const T* from) {
    Vector<T> v;
    std::memcpy(&v, from, sizeof(v));  // one unaligned load
    return v;
}

template <class T>
inline void store(T* to, Vector<T> v) {
    std::memcpy(to, &v, sizeof(v));
}

template <class T>
inline Vector<T> broadcast(T value) {
    return value - Vector<T>{};
}

// Lanes I… of the concatenation of a and b.
template <int... I>
inline Vector<float> shuffled(Vector<float> a, Vector<float> b) {
#if __has_builtin(__builtin_shufflevector)
    return __builtin_shufflevector(a, b, I...);
#else  // g++ before 12
    return __builtin_shuffle(a, b, Vector<int32_t>{I...});
#endif
}

// The instruction of AVX512-BF16.
#if defined(__x86_64__)

#include <immintrin.h>

#define ROW_TARGET __attribute__((target("avx512f,avx512bf16")))
#define ROW_INLINE ROW_TARGET __attribute__((always_inline)) inline

#include "cpu/bf16_rows.h"

namespace {

struct Avx512Vectors {
    typedef __m512 Sums;
    typedef __m512bh Pairs;
    ROW_INLINE static Sums zero() { return _mm512_setzero_ps(); }
    ROW_INLINE static Sums load(const float* from) { return _mm512_loadu_ps(from); }
    ROW_INLINE static void store(float* to, Sums v) { _mm512_storeu_ps(to, v); }
    ROW_INLINE static Pairs pairs(const BFloat16* from) { return (Pairs)_mm512_loadu_si512(from); }
    ROW_INLINE static Pairs repeated(const BFloat16* pair) {
        int bits;
        std::memcpy(&bits, pair, sizeof(bits));
        return (Pairs)_mm512_set1_epi32(bits);
    }
    ROW_INLINE static Sums multiply(Sums sum, Pairs a, Pairs b) { return _mm512_dpbf16_ps(sum, a, b); }
};

}  // namespace

const Bf16Multiply multiply_avx512 = multiply_in_rows<Avx512Vectors>;

#else

#include "cpu/bf16.h"

const Bf16Multiply multiply_avx512 = nullptr;

#endif

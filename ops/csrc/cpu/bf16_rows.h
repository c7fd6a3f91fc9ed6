// The product by the instruction of AVX512-BF16, vdpbf16ps, for the instruction itself (bf16_avx512.cpp) and for its
// emulation. The file that includes this defines ROW_TARGET, the attribute of functions that use the instruction.
#pragma once

#include "cpu/bf16.h"

namespace {

constexpr int64 GROUP = 8;  // rows at a time: with two vectors for each, their sums fill half of the registers

// `Sums` and `Pairs` are vectors of 16 float32 and of 16 pairs of bfloat16.
template <class Vectors>
ROW_TARGET void multiply_in_rows(const Bf16Product& p) {
    typedef typename Vectors::Sums Sums;
    typedef typename Vectors::Pairs Pairs;
    for (int64 m = 0; m < p.rows; m += GROUP) {
        float* out = p.out + m * BF16_COLUMNS;
        Sums sum[GROUP][2];
        for (int r = 0; r < GROUP; r++)
            for (int v = 0; v < 2; v++)
                sum[r][v] = p.accumulate ? Vectors::load(out + r * BF16_COLUMNS + v * 16) : Vectors::zero();
        const BFloat16* panel = p.panel;
        for (int64 i = 0; i < p.steps; i++) {
            const BFloat16* rows = p.a + m * p.a_step + p.offsets[i];
            for (int64 d = 0; d < BF16_DEPTH; d += 2, panel += 2 * BF16_COLUMNS, rows += p.pair_step) {
                __builtin_prefetch(panel + 4 * BF16_STEP);
                __builtin_prefetch(panel + 4 * BF16_STEP + 32);
                const Pairs left = Vectors::pairs(panel), right = Vectors::pairs(panel + 32);
#pragma GCC unroll 8
                for (int r = 0; r < GROUP; r++) {
                    const Pairs row = Vectors::repeated(rows + r * p.a_step);
                    sum[r][0] = Vectors::multiply(sum[r][0], row, left);
                    sum[r][1] = Vectors::multiply(sum[r][1], row, right);
                }
            }
        }
        for (int r = 0; r < GROUP; r++)
            for (int v = 0; v < 2; v++) Vectors::store(out + r * BF16_COLUMNS + v * 16, sum[r][v]);
    }
}

}  // namespace

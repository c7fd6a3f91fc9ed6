// The one inner loop under every convolution: a block of rows times a packed panel of columns, held in registers.
#pragma once

#include "cpu/vector.h"
#include "params.h"

// Rows of a block: with two vectors per row, the accumulators fill most of the 16 (AVX2) or 32 (AVX-512) registers.
constexpr int BLOCK_ROWS = VECTOR_BYTES == 64 ? 12 : 6;

// Columns of a packed panel.
template <class T>
constexpr int PANEL = 2 * LANES<T>;

// Where the operands of one product lie: out[m][j] = sum over taps t and depth k of
// rows[m][tap_offsets[t] + k * depth_step] * panel[(t * depth + k) * panel_step + t * panel_gap + j].
template <class T>
struct Operands {
    const T* const* rows;
    const int64* tap_offsets;
    int64 taps;
    int64 depth;
    int64 depth_step;  // 1 except for weight gradients, whose depth runs over pixels
    const T* panel;
    int64 panel_step;  // PANEL for packed weights
    int64 panel_gap = 0;
};

template <class T, int ROWS, bool ACCUMULATE>
inline void multiply_rows(const Operands<T>& a, T* const* out) {
    Vector<T> sum[ROWS][2];
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < 2; v++)
            sum[m][v] = ACCUMULATE ? load(out[m] + v * LANES<T>) : Vector<T>{};
    const T* panel = a.panel;
    for (int64 t = 0; t < a.taps; t++) {
        const T* row[ROWS];
        for (int m = 0; m < ROWS; m++) row[m] = a.rows[m] + a.tap_offsets[t];
        for (int64 k = 0; k < a.depth; k++) {
            const Vector<T> left = load(panel), right = load(panel + LANES<T>);
            panel += a.panel_step;
#pragma GCC unroll 12
            for (int m = 0; m < ROWS; m++) {
                const Vector<T> factor = broadcast(row[m][k * a.depth_step]);
                sum[m][0] += factor * left;
                sum[m][1] += factor * right;
            }
        }
        panel += a.panel_gap;
    }
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < 2; v++) store(out[m] + v * LANES<T>, sum[m][v]);
}

// Multiply `count` rows (1 … BLOCK_ROWS) by one panel; out[m] must have room for a whole panel.
template <class T, bool ACCUMULATE = false, int ROWS = BLOCK_ROWS>
inline void multiply(int count, const Operands<T>& a, T* const* out) {
    if (count == ROWS)
        multiply_rows<T, ROWS, ACCUMULATE>(a, out);
    else if constexpr (ROWS > 1)
        multiply<T, ACCUMULATE, ROWS - 1>(count, a, out);
}

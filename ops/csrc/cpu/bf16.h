// Products of bfloat16 matrices with float32 sums: what the convolutions in bfloat16 ask of AMX, of AVX512-BF16 and of
// the emulation of both.
#pragma once

#include "cpu/storage.h"

// Sizes of the units in which operands are packed; all are those of the tiles of AMX, 16 rows of 64 bytes.
constexpr int64 BF16_ROWS = 32;     // rows of a block: two tiles
constexpr int64 BF16_COLUMNS = 32;  // columns of a packed panel: two tiles
constexpr int64 BF16_DEPTH = 32;    // values of each row and of each column that one step multiplies
constexpr int64 BF16_STEP = BF16_DEPTH * BF16_COLUMNS;  // values of a panel that one step multiplies

// out[m][j] (+)= sum over steps i and depths d of a[offsets[i] + m * a_step + d / 2 * pair_step + d % 2] * panel(i, d, j),
// where the panel is packed [steps][DEPTH / 2][COLUMNS][2]: the instructions multiply pairs of neighbouring depths.
struct Bf16Product {
    const BFloat16* a;
    const int64* offsets;
    int64 a_step;     // elements from one row to the next
    int64 pair_step;  // and from one pair to the next; the tiles of AMX need 2
    const BFloat16* panel;
    int64 steps;
    int64 rows;  // in whole blocks of BF16_ROWS with AMX and of 8 with AVX512-BF16, for which a and out have room
    float* out;  // [rows][BF16_COLUMNS]
    bool accumulate;
};

using Bf16Multiply = void (*)(const Bf16Product&);

// The instructions that multiply; ops/native/bfloat16.py has the same numbers.
enum Bf16Instructions { EMULATED_AMX = 0, EMULATED_AVX512_BF16 = 1, AMX = 2, AVX512_BF16 = 3 };

// Each in its own file, because only its own functions may use the instructions. Where the compiler or the kind of CPU
// has none, they are null.
extern const Bf16Multiply multiply_emulated_amx, multiply_emulated_avx512, multiply_amx, multiply_avx512;

// The function for a value of Bf16Instructions; null if this CPU cannot run it.
Bf16Multiply bf16_multiply(int64 instructions);

// Round a vector of values of neighbouring columns, and store it as the first or second elements of pairs.
template <bool SECOND>
inline void store_elements(BFloat16* pairs, Vector<float> v) {
    Vector<uint32_t> first{}, words = rounded_to_bfloat16(v);
    if (SECOND) std::memcpy(&first, pairs, sizeof(first));
    words = SECOND ? first | (words & 0xffff0000) : words >> 16;
    std::memcpy(pairs, &words, sizeof(words));
}

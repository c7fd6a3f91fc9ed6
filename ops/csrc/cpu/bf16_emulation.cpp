// The instructions of AMX and of AVX512-BF16 in plain C++, for tests on every machine. They follow Intel's Software
// Developer's Manual (TDPBF16PS, VDPBF16PS): float32 sums, each rounded to nearest; subnormal numbers count as zero and
// become zero; the control register of the CPU is not consulted.
#define TILE_TARGET
#define ROW_TARGET

#include "cpu/bf16_rows.h"
#include "cpu/bf16_tiles.h"

namespace {

typedef Vector<float> Floats;
typedef Vector<uint32_t> Words;

constexpr int LENGTH = 16;                     // float32 numbers, or pairs of bfloat16, in a row of a tile or a register
constexpr int PARTS = LENGTH / LANES<float>;  // vectors of this machine for one of them

struct Row {
    Floats part[PARTS];
};

// Subnormal numbers become zeros with their sign. Those of bfloat16 are subnormal as float32 too.
inline Floats flushed(Floats x) {
    const Words bits = bit_cast<Words>(x);
    return bit_cast<Floats>((bits & 0x7f800000) == 0 ? bits & 0x80000000 : bits);
}

// Element 0 or 1 of pairs of bfloat16.
template <int ELEMENT>
inline Floats elements(Words pairs) {
    return flushed(bit_cast<Floats>(ELEMENT == 0 ? pairs << 16 : pairs & 0xffff0000));
}

// sum += a * b for one element of each pair. The product is exact in float32, so that this equals a fused operation.
template <int ELEMENT>
inline void add_products(Row& sum, uint32_t a, const Row& b) {
    const Floats factor = elements<ELEMENT>(Words{} + a);
    for (int i = 0; i < PARTS; i++)
        sum.part[i] = flushed(sum.part[i] + factor * elements<ELEMENT>(bit_cast<Words>(b.part[i])));
}

inline Row load_row(const void* from) {
    Row row;
    std::memcpy(&row, from, sizeof(row));
    return row;
}

// TDPBF16PS sums the first elements of all pairs of a row and the second ones apart, then both, then into the tile.
struct EmulatedTiles {
    unsigned char memory[8][TILE_ROWS][64];
    void configure(const TileConfig*) {}
    void release() {}
    template <int TILE>
    void zero() {
        std::memset(memory[TILE], 0, sizeof(memory[TILE]));
    }
    template <int TILE>
    void load(const void* from, int64 row_bytes) {
        for (int r = 0; r < TILE_ROWS; r++)
            std::memcpy(memory[TILE][r], static_cast<const unsigned char*>(from) + r * row_bytes, 64);
    }
    template <int TILE>
    void store(void* to, int64 row_bytes) {
        for (int r = 0; r < TILE_ROWS; r++)
            std::memcpy(static_cast<unsigned char*>(to) + r * row_bytes, memory[TILE][r], 64);
    }
    template <int SUM, int ROWS, int COLUMNS>
    void multiply() {
        for (int r = 0; r < TILE_ROWS; r++) {
            uint32_t pairs[TILE_ROWS];
            std::memcpy(pairs, memory[ROWS][r], sizeof(pairs));
            Row first{}, second{}, total = load_row(memory[SUM][r]);
            for (int k = 0; k < TILE_ROWS; k++) {
                const Row columns = load_row(memory[COLUMNS][k]);
                add_products<0>(first, pairs[k], columns);
                add_products<1>(second, pairs[k], columns);
            }
            for (int i = 0; i < PARTS; i++)
                total.part[i] = flushed(flushed(total.part[i]) + flushed(first.part[i] + second.part[i]));
            std::memcpy(memory[SUM][r], &total, sizeof(total));
        }
    }
};

// VDPBF16PS adds the product of the second elements first.
struct EmulatedVectors {
    typedef Row Sums;
    typedef Row Pairs;
    static Sums zero() { return {}; }
    static Sums load(const float* from) { return load_row(from); }
    static void store(float* to, const Sums& sums) { std::memcpy(to, &sums, sizeof(sums)); }
    static Pairs pairs(const BFloat16* from) { return load_row(from); }
    static Pairs repeated(const BFloat16* pair) {
        uint32_t bits;
        std::memcpy(&bits, pair, sizeof(bits));
        Pairs pairs;
        for (Floats& part : pairs.part) part = bit_cast<Floats>(Words{} + bits);
        return pairs;
    }
    static Sums multiply(const Sums& sum, const Pairs& a, const Pairs& b) {
        const uint32_t pair = bit_cast<Words>(a.part[0])[0];
        Sums sums;
        for (int i = 0; i < PARTS; i++) sums.part[i] = flushed(sum.part[i]);
        add_products<1>(sums, pair, b);
        add_products<0>(sums, pair, b);
        return sums;
    }
};

}  // namespace

const Bf16Multiply multiply_emulated_amx = multiply_in_tiles<EmulatedTiles>;
const Bf16Multiply multiply_emulated_avx512 = multiply_in_rows<EmulatedVectors>;

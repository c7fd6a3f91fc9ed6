// The product on tiles of AMX, for the instructions themselves (bf16_amx.cpp) and for their emulation. The file that
// includes this defines TILE_TARGET, the attribute of functions that use the instructions.
#pragma once

#include "cpu/bf16.h"

namespace {

constexpr int64 TILE_ROWS = 16;

// Memory operand of `ldtilecfg`: palette 1, and eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

// Four tiles hold the sums of a block of 32 x 32, two the rows and two the columns of a step.
template <class Tiles>
TILE_TARGET void multiply_in_tiles(const Bf16Product& p) {
    constexpr int64 out_bytes = BF16_COLUMNS * sizeof(float), panel_bytes = 2 * BF16_COLUMNS * sizeof(BFloat16);
    const int64 row_bytes = p.a_step * sizeof(BFloat16);
    const TileConfig config;
    Tiles tiles;
    tiles.configure(&config);
    for (int64 m = 0; m < p.rows; m += BF16_ROWS) {
        float *upper = p.out + m * BF16_COLUMNS, *lower = upper + TILE_ROWS * BF16_COLUMNS;
        if (p.accumulate) {
            tiles.template load<0>(upper, out_bytes);
            tiles.template load<1>(upper + 16, out_bytes);
            tiles.template load<2>(lower, out_bytes);
            tiles.template load<3>(lower + 16, out_bytes);
        } else {
            tiles.template zero<0>();
            tiles.template zero<1>();
            tiles.template zero<2>();
            tiles.template zero<3>();
        }
        const BFloat16* panel = p.panel;
        for (int64 i = 0; i < p.steps; i++, panel += BF16_STEP) {
            const BFloat16* rows = p.a + m * p.a_step + p.offsets[i];
            tiles.template load<4>(rows, row_bytes);
            tiles.template load<5>(rows + TILE_ROWS * p.a_step, row_bytes);
            tiles.template load<6>(panel, panel_bytes);
            tiles.template load<7>(panel + 32, panel_bytes);  // 16 columns of pairs
            tiles.template multiply<0, 4, 6>();
            tiles.template multiply<1, 4, 7>();
            tiles.template multiply<2, 5, 6>();
            tiles.template multiply<3, 5, 7>();
        }
        tiles.template store<0>(upper, out_bytes);
        tiles.template store<1>(upper + 16, out_bytes);
        tiles.template store<2>(lower, out_bytes);
        tiles.template store<3>(lower + 16, out_bytes);
    }
    tiles.release();
}

}  // namespace

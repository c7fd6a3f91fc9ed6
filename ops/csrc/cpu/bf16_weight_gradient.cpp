// Gradient of a 3x3 convolution with respect to its weights, with products of bfloat16 and sums in float32.
//
// For each tap it is the product of x, transposed and moved by the tap's offset, and of dy: their common axis runs over
// the positions of all images (bf16_layout.h).
#include <vector>

#include "cpu/bf16_layout.h"

namespace {

struct Gradient {
    const WeightGradientParams& p;
    const Bf16Multiply multiply;
    const Layout layout;
    const int64 rows;    // channels of x, with zeros up to whole blocks
    const int64 panels;  // of channels of dy
    const int64 steps;   // over all positions
    const int64 row_length;
    BFloat16 *x, *dy;  // [planes][rows][row_length] and [phases][panels][steps][STEP]
    float* sums;       // [TAPS][panels][rows][COLUMNS]

    Gradient(const WeightGradientParams& p, Bf16Multiply multiply)
        : p(p), multiply(multiply), layout(p.mode, p.n, p.h, p.w), rows(up_to_multiple(p.c, BF16_ROWS)),
          panels((p.o + BF16_COLUMNS - 1) / BF16_COLUMNS), steps(up_to_multiple(layout.positions, BF16_DEPTH) / BF16_DEPTH),
          // An odd number of cache lines, because a power of two would map all rows to the same few cache sets.
          row_length((up_to_multiple(layout.length, 32) / 32 | 1) * 32) {
        const int64 x_size = layout.planes * rows * row_length;
        x = scratch<BFloat16, 1>(x_size + layout.phases() * panels * steps * BF16_STEP);
        dy = x + x_size;
        sums = scratch<float, 2>(TAPS * panels * rows * BF16_COLUMNS);
    }

    BFloat16* x_row(int plane, int64 c) const { return x + (plane * rows + c) * row_length + layout.lead; }
    BFloat16* dy_panel(int phase, int64 panel) const { return dy + (phase * panels + panel) * steps * BF16_STEP; }

    // Call work(n, y, x, position) for the positions of all images.
    template <class Work>
    void each_position(Work work) const {
        int64 position = 0;
        for (int64 n = 0; n < p.n; n++)
            for (int64 y = 0; y <= layout.h; y++)
                for (int64 x = 0; x <= layout.w; x++) work(n, y, x, position++);
    }

    void transpose_x() const {
        const float* from = static_cast<const float*>(p.x);
#pragma omp parallel for collapse(2)
        for (int plane = 0; plane < layout.planes; plane++)
            for (int64 first = 0; first < rows; first += BF16_ROWS) {
                const int64 channels = std::clamp<int64>(p.c - first, 0, BF16_ROWS);
                for (int64 c = first; c < first + BF16_ROWS; c++)
                    std::fill(x_row(plane, c) - layout.lead, x_row(plane, c) - layout.lead + row_length, BFloat16{});
                each_position([&](int64 n, int64 y, int64 x, int64 position) {
                    const int64 pixel = layout.source(plane, y, x);
                    if (pixel < 0) return;
                    const float* values = from + (n * layout.source_pixels() + pixel) * p.c + first;
                    for (int64 c = 0; c < channels; c++) x_row(plane, first + c)[position] = narrow_one(values[c]);
                });
            }
    }

    void pack_dy() const {
        const float* from = static_cast<const float*>(p.dy);
        const int64 pixels = layout.out_h() * layout.out_w();
#pragma omp parallel for collapse(2)
        for (int i = 0; i < layout.phases(); i++)
            for (int64 panel = 0; panel < panels; panel++) {
                BFloat16* to = dy_panel(i, panel);
                const int64 columns = std::min(BF16_COLUMNS, p.o - panel * BF16_COLUMNS);
                std::fill(to, to + steps * BF16_STEP, BFloat16{});
                each_position([&](int64 n, int64 y, int64 x, int64 position) {
                    const int64 pixel = layout.result(layout.phase(i), y, x);
                    if (pixel < 0) return;
                    const float* values = from + (n * pixels + pixel) * p.o + panel * BF16_COLUMNS;
                    BFloat16* step = to + position / BF16_DEPTH * BF16_STEP;
                    for (int64 r = 0; r < columns; r++)
                        step[bf16_panel_index(position % BF16_DEPTH, r)] = narrow_one(values[r]);
                });
            }
    }

    // A chunk of positions at a time, so that its rows and panels stay in the cache for all taps.
    void multiply_all() const {
        const int64 fitting = CACHE_BYTES / (BF16_DEPTH * int64(sizeof(BFloat16)) * (rows + BF16_COLUMNS));
        const int64 chunk = std::clamp<int64>(fitting, 1, steps);
        std::vector<int64> offsets(chunk);
        for (int64 i = 0; i < chunk; i++) offsets[i] = i * BF16_DEPTH;
        for (int64 start = 0; start < steps; start += chunk)
#pragma omp parallel for collapse(2) schedule(dynamic)
            for (int k = 0; k < TAPS; k++)
                for (int64 panel = 0; panel < panels; panel++)
                    multiply({x_row(layout.plane(TAP[k]), 0) + layout.offset(TAP[k]) + start * BF16_DEPTH, offsets.data(),
                              row_length, dy_panel(layout.phase_of(TAP[k]), panel) + start * BF16_STEP,
                              std::min(chunk, steps - start), rows, sums + (k * panels + panel) * rows * BF16_COLUMNS,
                              start > 0});
    }

    void store_sums() const {
        float* dw = static_cast<float*>(p.dw);
#pragma omp parallel for
        for (int64 o = 0; o < p.o; o++)
            for (int64 c = 0; c < p.c; c++)
                for (int k = 0; k < TAPS; k++)
                    dw[(o * p.c + c) * TAPS + TAP[k].y * 3 + TAP[k].x] =
                        sums[((k * panels + o / BF16_COLUMNS) * rows + c) * BF16_COLUMNS + o % BF16_COLUMNS];
    }
};

}  // namespace

extern "C" int bfloat16_weight_gradient(const WeightGradientParams* p) {
    return answer([&] {
        const Bf16Multiply multiply = bf16_multiply(p->instructions);
        if (!multiply || p->dtype != FLOAT32) return 1;
        const Gradient gradient(*p, multiply);
        gradient.transpose_x();
        gradient.pack_dy();
        gradient.multiply_all();
        gradient.store_sums();
        return 0;
    });
}

// Gradient of a 3x3 convolution with respect to its weights, with products of bfloat16 (bf16_winograd.h) and sums in
// float32: dw = Gt [sum over tiles of (Bt x B) times (A dy At)] G.
#include <vector>

#include "cpu/bf16_winograd.h"

namespace {

// The common axis of the products are the tiles; a pair of neighbouring tiles lies side by side.
template <class Axis>
class Gradient {
    static constexpr int COUNT = Products<Axis>::COUNT, SUMS = Products<Axis>::SUMS;

    const Images<const float> x, dy;
    const Bf16Multiply multiply;
    const Tiling tiling;
    const int64 tiles;
    const int64 panels;              // of channels of dy
    const int64 chunk;               // tiles at a time: whole steps
    const int64 v_stride, d_stride;  // from one point to the next
    BFloat16 *V, *D;                 // [COUNT][chunk / 2][C][2] and [SUMS][panels][chunk / 2][COLUMNS][2]
    float* sums;                     // [COUNT][panels][C][COLUMNS]

public:
    Gradient(int64 n, const Images<const float>& x, const Images<const float>& dy, Bf16Multiply multiply)
        : x(x), dy(dy), multiply(multiply), tiling(tiling_of<Axis>(x.h, x.w)), tiles(n * tiling.per_image),
          panels((dy.c + BF16_COLUMNS - 1) / BF16_COLUMNS), chunk(chunk_of(tiles, x.c, dy.c)),
          v_stride(point_stride<BFloat16>(chunk * x.c)), d_stride(point_stride<BFloat16>(chunk * panels * BF16_COLUMNS)) {
        V = scratch<BFloat16, 1>(COUNT * v_stride + SUMS * d_stride);
        D = V + COUNT * v_stride;
        sums = scratch<float, 2>(COUNT * panels * x.c * BF16_COLUMNS);
    }

    void run() const {
        std::vector<int64> offsets;
        for (int64 i = 0; i < chunk / BF16_DEPTH; i++) offsets.push_back(i * BF16_DEPTH * x.c);
#pragma omp parallel
        for (int64 start = 0; start < tiles; start += chunk) {
            const int64 count = std::min(chunk, tiles - start), whole = up_to_multiple(count, BF16_DEPTH);
#pragma omp for
            for (int64 i = 0; i < whole; i += 2) transform_pair(start + i, i);
#pragma omp for collapse(2)
            for (int k = 0; k < COUNT; k++)
                for (int64 panel = 0; panel < panels; panel++)
                    multiply({V + k * v_stride, offsets.data(), 2, 2 * x.c,
                              D + Products<Axis>::sum_of(k) * d_stride + panel * chunk * BF16_COLUMNS, whole / BF16_DEPTH,
                              x.c, sums + (k * panels + panel) * x.c * BF16_COLUMNS, start > 0});
        }
    }

    // dw[c * c_step + o * o_step + tap] for channels c of x and o of dy.
    void store(float* dw, int64 c_step, int64 o_step) const {
#pragma omp parallel for
        for (int64 o = 0; o < dy.c; o += LANES<float>)
            for (int64 c = 0; c < x.c; c++) {
                const float* from = sums + (o / BF16_COLUMNS * x.c + c) * BF16_COLUMNS + o % BF16_COLUMNS;
                sandwich<typename Axis::Gt, Vector<float>>(
                    [&](int i, int j) { return load(from + (i * Products<Axis>::SIDE + j) * panels * x.c * BF16_COLUMNS); },
                    [&](int i, int j, Vector<float> v) {
                        for (int r = 0; r < LANES<float>; r++) dw[c * c_step + (o + r) * o_step + i * 3 + j] = v[r];
                    });
            }
    }

private:
    // Whole steps, of which the points stay in the cache.
    static int64 chunk_of(int64 tiles, int64 c, int64 o) {
        const int64 fitting = CACHE_BYTES / (int64(sizeof(BFloat16)) * (COUNT * c + SUMS * o));
        return up_to_multiple(std::min(tiles, std::max<int64>(fitting, 64)), BF16_DEPTH);
    }

    // Tiles `tile` and `tile` + 1, the rows `slot` and `slot` + 1 of V and D; zero beyond the last tile.
    void transform_pair(int64 tile, int64 slot) const {
        transform<false>(tile, slot);
        transform<true>(tile + 1, slot);
    }

    template <bool SECOND>
    void transform(int64 tile, int64 slot) const {
        Tiling::Place at = tiling.place(std::min(tile, tiles - 1));
        if (tile >= tiles) at.row = tiling.down + 1;  // outside the image
        transform_tile<Axis>(x, nullptr, at, [&](int point, int64 c, Vector<float> v) {
            store_elements<SECOND>(V + point * v_stride + slot * x.c + 2 * c, v);
        });
        constexpr int side = Axis::At::OUT;
        const float* no_style = nullptr;
        transform_pixels<typename Axis::A>(
            dy, no_style, at.n, at.row * side, at.column * side, side, [&](int i, int j, int64 c, Vector<float> v) {
                BFloat16* to = D + (i * Products<Axis>::SUM_SIDE + j) * d_stride;
                to += (c / BF16_COLUMNS * chunk + slot) * BF16_COLUMNS + c % BF16_COLUMNS * 2;
                store_elements<SECOND>(to, v);
            });
    }
};

template <class Axis>
void run(int64 n, const Images<const float>& x, const Images<const float>& dy, Bf16Multiply multiply, float* dw,
         int64 c_step, int64 o_step) {
    const Gradient<Axis> gradient(n, x, dy, multiply);
    gradient.run();
    gradient.store(dw, c_step, o_step);
}

}  // namespace

extern "C" int bfloat16_weight_gradient(const WeightGradientParams* p) {
    return answer([&] {
        const Bf16Multiply multiply = bf16_multiply_pairs(p->instructions);
        if (!multiply || p->dtype != FLOAT32) return 1;
        auto results = [&](int64 inputs) {
            return p->mode == UP ? Up::results(inputs) : p->mode == DOWN ? Down::results(inputs) : Same::results(inputs);
        };
        const Images<const float> x{static_cast<const float*>(p->x), p->h, p->w, p->c};
        const Images<const float> dy{static_cast<const float*>(p->dy), results(p->h), results(p->w), p->o};
        float* dw = static_cast<float*>(p->dw);
        if (p->mode == SAME) run<Same>(p->n, x, dy, multiply, dw, TAPS, TAPS * p->c);
        else if (p->mode == DOWN) run<Down>(p->n, x, dy, multiply, dw, TAPS, TAPS * p->c);
        else run<Down>(p->n, dy, x, multiply, dw, TAPS * p->c, TAPS);  // UP is the transpose of DOWN
        return 0;
    });
}

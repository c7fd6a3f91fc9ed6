// Gradient of a 3x3 convolution with respect to its weights, with products of bfloat16 (bf16_winograd.h) and sums in
// float32: dw = Gt [sum over tiles of (Bt x B) times (A dy At)] G.
#include <utility>
#include <vector>

#include "cpu/bf16_winograd.h"

namespace {

// Exchange the lanes of `a` that have bit S with those of `b` that have not.
template <int S, std::size_t... L>
inline void exchange(Vector<float>& a, Vector<float>& b, std::index_sequence<L...>) {
    constexpr int N = LANES<float>;
    const Vector<float> first = shuffled<(int(L) & S ? int(L) - S + N : int(L))...>(a, b);
    b = shuffled<(int(L) & S ? int(L) + N : int(L) + S)...>(a, b);
    a = first;
}

template <int S>
inline void transpose(Vector<float>* rows) {
    if constexpr (S < LANES<float>) {
        for (int i = 0; i < LANES<float>; i++)
            if (!(i & S)) exchange<S>(rows[i], rows[i + S], std::make_index_sequence<LANES<float>>());
        transpose<2 * S>(rows);
    }
}

// Words [PAIRS][c] -> [c][PAIRS], for the pairs of one step.
inline void transpose_step(const BFloat16* from, int64 c, BFloat16* to) {
    constexpr int64 PAIRS = BF16_DEPTH / 2;
    const float* words = reinterpret_cast<const float*>(from);
    float* turned = reinterpret_cast<float*>(to);
    for (int64 channel = 0; channel < c; channel += LANES<float>)
        for (int64 pair = 0; pair < PAIRS; pair += LANES<float>) {
            Vector<float> rows[LANES<float>];
            for (int i = 0; i < LANES<float>; i++) rows[i] = load(words + (pair + i) * c + channel);
            transpose<1>(rows);
            for (int i = 0; i < LANES<float>; i++) store(turned + (channel + i) * PAIRS + pair, rows[i]);
        }
}

// The common axis of the products are the tiles; a pair of neighbouring tiles lies side by side.
template <class Axis>
class Gradient {
    static constexpr int COUNT = Products<Axis>::COUNT, SUMS = Products<Axis>::SUMS;

    const Images<const float> x, dy;
    const Bf16Multiply multiply;
    const bool in_tiles;             // by the tiles of AMX, whose rows are contiguous
    const Tiling tiling;
    const int64 tiles;
    const int64 rows;                // channels of x, in whole blocks
    const int64 panels;              // of channels of dy
    const int64 chunk;               // tiles at a time: whole steps
    const int64 v_stride, d_stride;  // from one point to the next
    BFloat16 *V, *D;                 // [COUNT][chunk / 2][C][2] and [SUMS][panels][chunk / 2][COLUMNS][2]
    float* sums;                     // [COUNT][panels][rows][COLUMNS]

public:
    Gradient(int64 n, const Images<const float>& x, const Images<const float>& dy, int64 instructions)
        : x(x), dy(dy), multiply(bf16_multiply(instructions)), in_tiles(instructions == AMX || instructions == EMULATED_AMX),
          tiling(tiling_of<Axis>(x.h, x.w)), tiles(n * tiling.per_image), rows(up_to_multiple(x.c, BF16_ROWS)),
          panels((dy.c + BF16_COLUMNS - 1) / BF16_COLUMNS), chunk(chunk_of(tiles, x.c, dy.c)),
          v_stride(point_stride<BFloat16>(chunk * x.c)), d_stride(point_stride<BFloat16>(chunk * panels * BF16_COLUMNS)) {
        V = scratch<BFloat16, 1>(COUNT * v_stride + SUMS * d_stride);
        D = V + COUNT * v_stride;
        sums = scratch<float, 2>(COUNT * panels * rows * BF16_COLUMNS);
    }

    void run() const {
        std::vector<int64> offsets;
        for (int64 i = 0; i < chunk / BF16_DEPTH; i++) offsets.push_back(i * BF16_DEPTH * (in_tiles ? rows : x.c));
        Shortage shortage;
#pragma omp parallel
        for (int64 start = 0; start < tiles; start += chunk) {
            const int64 count = std::min(chunk, tiles - start), whole = up_to_multiple(count, BF16_DEPTH);
#pragma omp for
            for (int64 i = 0; i < whole; i += 2) transform_pair(start + i, i);
#pragma omp for
            for (int k = 0; k < COUNT; k++)
                shortage.attempt([&] { multiply_point(k, whole / BF16_DEPTH, offsets.data(), start > 0); });
        }
        shortage.raise();
    }

    // dw[c * c_step + o * o_step + tap] for channels c of x and o of dy.
    void store(float* dw, int64 c_step, int64 o_step) const {
#pragma omp parallel for
        for (int64 o = 0; o < dy.c; o += LANES<float>)
            for (int64 c = 0; c < x.c; c++) {
                const float* from = sums + (o / BF16_COLUMNS * rows + c) * BF16_COLUMNS + o % BF16_COLUMNS;
                sandwich<typename Axis::Gt, Vector<float>>(
                    [&](int i, int j) { return load(from + (i * Products<Axis>::SIDE + j) * panels * rows * BF16_COLUMNS); },
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

    // Add the products of point k, of `steps` steps, to its sums.
    void multiply_point(int k, int64 steps, const int64* offsets, bool accumulate) const {
        const BFloat16* a = V + k * v_stride;
        int64 a_step = 2, pair_step = 2 * x.c;
        if (in_tiles) {
            BFloat16* turned = scratch<BFloat16, 3>(steps * BF16_DEPTH * rows);  // [steps][rows][DEPTH]
            for (int64 i = 0; i < steps; i++) {
                BFloat16* step = turned + i * BF16_DEPTH * rows;
                transpose_step(a + i * BF16_DEPTH * x.c, x.c, step);
                std::fill(step + BF16_DEPTH * x.c, step + BF16_DEPTH * rows, BFloat16{});
            }
            a = turned;
            a_step = BF16_DEPTH;
            pair_step = 2;
        }
        for (int64 panel = 0; panel < panels; panel++)
            multiply({a, offsets, a_step, pair_step, D + Products<Axis>::sum_of(k) * d_stride + panel * chunk * BF16_COLUMNS,
                      steps, x.c, sums + (k * panels + panel) * rows * BF16_COLUMNS, accumulate});
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
void run(int64 n, const Images<const float>& x, const Images<const float>& dy, int64 instructions, float* dw,
         int64 c_step, int64 o_step) {
    const Gradient<Axis> gradient(n, x, dy, instructions);
    gradient.run();
    gradient.store(dw, c_step, o_step);
}

}  // namespace

extern "C" int bfloat16_weight_gradient(const WeightGradientParams* p) {
    return answer([&] {
        if (!bf16_multiply(p->instructions) || p->dtype != FLOAT32) return 1;
        auto results = [&](int64 inputs) {
            return p->mode == UP ? Up::results(inputs) : p->mode == DOWN ? Down::results(inputs) : Same::results(inputs);
        };
        const Images<const float> x{static_cast<const float*>(p->x), p->h, p->w, p->c};
        const Images<const float> dy{static_cast<const float*>(p->dy), results(p->h), results(p->w), p->o};
        float* dw = static_cast<float*>(p->dw);
        if (p->mode == SAME) run<Same>(p->n, x, dy, p->instructions, dw, TAPS, TAPS * p->c);
        else if (p->mode == DOWN) run<Down>(p->n, x, dy, p->instructions, dw, TAPS, TAPS * p->c);
        else run<Down>(p->n, dy, x, p->instructions, dw, TAPS * p->c, TAPS);  // UP is the transpose of DOWN
        return 0;
    });
}

// 3x3 convolution, channels last, with products of bfloat16 (bf16_winograd.h) and sums, results and epilogue in float32.
#include <vector>

#include "cpu/bf16_winograd.h"
#include "cpu/upsampling.h"

namespace {

constexpr int64 GROUP = 2;       // panels whose products are computed together, so that they share the reads of the tiles
constexpr int64 FEW_TILES = 64;  // rows of a product, for which reading the weights takes little of the time

template <class Axis>
class Convolution {
    typedef Products<Axis> Table;
    static constexpr Table table{};

    const Conv3x3Params& p;
    const Bf16Multiply multiply;
    const Images<const float> x;
    const Tiling tiling;
    const int64 depth, steps;        // channels of x, with zeros up to whole steps
    const int64 chunk;               // tiles that are transformed together
    const int64 v_stride, m_stride;  // from one point of V [COUNT][chunk][depth] or sum of M [SUMS][chunk][COLUMNS]
    std::vector<int64> offsets;      // of the steps of all products, sorted by sum

public:
    const int64 panels;

    Convolution(const Conv3x3Params& p, Bf16Multiply multiply, int64 chunk)
        : p(p), multiply(multiply), x{static_cast<const float*>(p.x), p.h, p.w, p.c}, tiling(tiling_of<Axis>(p.h, p.w)),
          depth(up_to_multiple(p.c, BF16_DEPTH)), steps(depth / BF16_DEPTH),
          chunk(up_to_multiple(chunk, BF16_ROWS)),
          v_stride(point_stride<BFloat16>(this->chunk * depth)), m_stride(point_stride<float>(this->chunk * BF16_COLUMNS)),
          panels((p.o + BF16_COLUMNS - 1) / BF16_COLUMNS) {
        for (const int product : table.order)
            for (int64 i = 0; i < steps; i++) offsets.push_back(product * v_stride + i * BF16_DEPTH);
    }

    // Tasks are chunks of tiles times slices of panels.
    void run() const {
        const Images<float> y{static_cast<float*>(p.y), Axis::results(p.h), Axis::results(p.w), p.o};
        const Finish<float> finish(p.has_epilogue ? &p.epilogue : nullptr);
        advise_huge_pages(p.y, p.n * y.h * y.w * p.o * sizeof(float));
        const int64 tiles = p.n * tiling.per_image, chunks = (tiles + chunk - 1) / chunk;
        int64 slice = panels;
        while (chunks * ((panels + slice - 1) / slice) < 2 * omp_get_max_threads() && slice > GROUP)
            slice = (slice + 1) / 2;
        const int64 slices = (panels + slice - 1) / slice;
        Shortage shortage;
#pragma omp parallel for schedule(dynamic)
        for (int64 task = 0; task < chunks * slices; task++)
            shortage.attempt([&] {
                const int64 start = task / slices * chunk, first = task % slices * slice;
                compute(y, finish, start, std::min(chunk, tiles - start), first, std::min(first + slice, panels));
            });
        shortage.raise();
    }

    // For `upsample_filtered`: transform the tiles for rows `begin` to `end` - 1 of the convolution.
    void prepare(int64 n, int64 begin, int64 end) const {
        const int64 first = begin / Axis::At::OUT, last = (end - 1) / Axis::At::OUT;
        transform(n * tiling.per_image + first * tiling.across, (last + 1 - first) * tiling.across);
    }

    // For `upsample_filtered`: these rows, for one panel.
    void rows(int64, int64 panel, int64 begin, int64 end, const Target<float>& target) const {
        const int64 first = begin / Axis::At::OUT, last = (end - 1) / Axis::At::OUT;
        const float* M = multiply_all((last + 1 - first) * tiling.across, panel, panel + 1);
        tiling.each(first * tiling.across, (last + 1 - first) * tiling.across, [&](Tiling::Place at, int64 i) {
            const int64 y0 = at.row * Axis::At::OUT, x0 = at.column * Axis::At::OUT;
            for (int64 c = 0; c < BF16_COLUMNS; c += LANES<float>)
                sandwich<typename Axis::At, Vector<float>>(
                    [&](int k, int l) { return load(M + i * BF16_COLUMNS + c + (k * Table::SUM_SIDE + l) * m_stride); },
                    [&](int k, int l, Vector<float> v) {
                        if (y0 + k >= begin && y0 + k < end && x0 + l < Axis::results(p.w))
                            store(target.at(y0 + k, x0 + l) + c, v);
                    });
        });
    }

private:
    void compute(const Images<float>& y, const Finish<float>& finish, int64 start, int64 count, int64 first,
                 int64 last) const {
        transform(start, count);
        for (int64 group = first; group < last; group += GROUP) {
            const int64 end = std::min(group + GROUP, last);
            const float* M = multiply_all(count, group, end);
            tiling.each(start, count, [&](Tiling::Place at, int64 i) {
                for (int64 panel = group; panel < end; panel++)
                    store_results<typename Axis::At>(
                        y, finish, at.n, at.row * Axis::At::OUT, at.column * Axis::At::OUT, panel * BF16_COLUMNS,
                        std::min(BF16_COLUMNS, p.o - panel * BF16_COLUMNS),
                        M + (panel - group) * Table::SUMS * m_stride + i * BF16_COLUMNS, m_stride);
            });
        }
    }

    BFloat16* transformed() const { return scratch<BFloat16, 1>(Table::COUNT * v_stride); }

    // V, the tiles from `start` on, rounded; for this thread.
    void transform(int64 start, int64 count) const {
        BFloat16* V = transformed();
        tiling.each(start, count, [&](Tiling::Place at, int64 i) {
            BFloat16* to = V + i * depth;
            transform_tile<Axis>(x, static_cast<const float*>(p.s), at,
                                 [&](int point, int64 c, Vector<float> v) { narrow(to + point * v_stride + c, v); });
            if (p.c < depth)
                for (int k = 0; k < Table::COUNT; k++)
                    std::fill(to + k * v_stride + p.c, to + k * v_stride + depth, BFloat16{});
        });
    }

    // M of the first `count` tiles of V, for panels first … last - 1.
    const float* multiply_all(int64 count, int64 first, int64 last) const {
        float* M = scratch<float, 2>((last - first) * Table::SUMS * m_stride);
        const BFloat16* weight = static_cast<const BFloat16*>(p.weight);
        for (int s = 0; s < Table::SUMS; s++)
            for (int64 panel = first; panel < last; panel++) {
                const int64 before = table.first[s], terms = table.first[s + 1] - before;
                multiply({transformed(), offsets.data() + before * steps, depth, 2,
                          weight + (panel * Table::COUNT + before) * steps * BF16_STEP, terms * steps, count,
                          M + ((panel - first) * Table::SUMS + s) * m_stride, false});
            }
        return M;
    }
};

template <class Axis>
void convolve(const Conv3x3Params& p, Bf16Multiply multiply) {
    const int64 tiles = p.n * tiling_of<Axis>(p.h, p.w).per_image;
    Convolution<Axis>(p, multiply, std::min(tiles, FEW_TILES)).run();
}

// UP and its filter: a step is several rows of tiles where the image is narrow.
void upsample(const Conv3x3Params& p, Bf16Multiply multiply) {
    const Tiling tiling = tiling_of<Up>(p.h, p.w);
    const int64 tile_rows = std::clamp<int64>(FEW_TILES / tiling.across, 1, tiling.down);
    const Convolution<Up> convolution(p, multiply, tile_rows * tiling.across);
    upsample_filtered<float, BF16_COLUMNS>(p, tile_rows * Up::IN_STEP, std::min(GROUP, convolution.panels), convolution);
}

// U = G w Gt, rounded, packed [panel][product, sorted by sum][step][DEPTH / 2][COLUMNS][2], zero beyond the channels.
template <class Axis>
class PackedWeights {
    typedef Products<Axis> Table;

    const PackParams& p;
    const int64 depth, panels;
    int place[Table::COUNT];  // of each product in the order of the sums

public:
    explicit PackedWeights(const PackParams& p)
        : p(p), depth(up_to_multiple(p.c, BF16_DEPTH)), panels((p.o + BF16_COLUMNS - 1) / BF16_COLUMNS) {
        constexpr Table table{};
        for (int k = 0; k < Table::COUNT; k++) place[table.order[k]] = k;
    }

    void write() const {
        advise_huge_pages(p.packed, panels * Table::COUNT * depth * BF16_COLUMNS * sizeof(BFloat16));
#pragma omp parallel for collapse(2)
        for (int64 panel = 0; panel < panels; panel++)
            for (int64 c = 0; c < depth; c += 2)
                for (int64 column = 0; column < BF16_COLUMNS; column += LANES<float>) {
                    transform<false>(panel, c, column);
                    transform<true>(panel, c + 1, column);
                }
    }

private:
    template <bool SECOND>
    void transform(int64 panel, int64 c, int64 column) const {
        const float* w = static_cast<const float*>(p.w) + c * p.stride_c;
        const int64 first = panel * BF16_COLUMNS + column;
        BFloat16* to = static_cast<BFloat16*>(p.packed);
        to += (panel * Table::COUNT * depth + c / 2 * 2) * BF16_COLUMNS + 2 * column;
        sandwich<typename Axis::G, Vector<float>>(
            [&](int i, int j) {
                Vector<float> v{};
                for (int r = 0; r < LANES<float>; r++)
                    if (c < p.c && first + r < p.o) v[r] = w[(first + r) * p.stride_o + i * p.stride_y + j * p.stride_x];
                return v;
            },
            [&](int i, int j, Vector<float> v) {
                store_elements<SECOND>(to + place[i * Table::SIDE + j] * depth * BF16_COLUMNS, v);
            });
    }
};

}  // namespace

extern "C" int bfloat16_conv3x3(const Conv3x3Params* p) {
    return answer([&] {
        const Bf16Multiply multiply = bf16_multiply(p->instructions);
        if (!multiply || p->dtype != FLOAT32) return 1;
        if (p->f) upsample(*p, multiply);
        else if (p->mode == UP) convolve<Up>(*p, multiply);
        else if (p->mode == DOWN) convolve<Down>(*p, multiply);
        else convolve<Same>(*p, multiply);
        return 0;
    });
}

extern "C" int bfloat16_weight(const PackParams* p) {
    if (p->dtype != FLOAT32) return 1;
    if (p->mode == UP) PackedWeights<Up>(*p).write();
    else if (p->mode == DOWN) PackedWeights<Down>(*p).write();
    else PackedWeights<Same>(*p).write();
    return 0;
}

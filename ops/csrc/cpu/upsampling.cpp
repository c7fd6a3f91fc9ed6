// 3x3 convolution of a zero-inserted image, channels last (the transpose of a strided one), and its low-pass filter.
//
// Row ky of the kernel sends input i to result 2 i + ky: even results take rows 0 (of input i) and 2 (of input
// i - 1), odd results row 1; likewise for columns. Along x, Winograd's F(4, 2) computes the two taps of even results:
// five products for four results instead of eight. Along y, the two taps are summed within the product.
#include "cpu/upsampling.h"

#include "cpu/winograd.h"

namespace {

// Results of one parity in y and x: their taps along y, and the points in which their taps along x are multiplied.
struct Phase {
    int taps, points, first;  // `first` counts the products of the phases before
};

constexpr Phase PHASES[2][2] = {{{2, ROW_POINTS, 0}, {2, 1, 2 * ROW_POINTS}},
                                {{1, ROW_POINTS, 2 * ROW_POINTS + 2}, {1, 1, 3 * ROW_POINTS + 2}}};

constexpr int64 STRIP = 4;  // input rows that one step consumes
constexpr int PRODUCTS = 3 * ROW_POINTS + 3;  // per pair of channels

// The input as the products read it: with a zero row above and below, and each row first as transformed tiles
// [ROW_POINTS][tiles][C], then unchanged [W][C].
template <class T>
struct Rows {
    T* data;
    int64 height, tiles, width, channels;
    Rows(const Conv3x3Params& p) : height(p.h + 2), tiles(p.w / TILE + 1), width(p.w), channels(p.c) {
        data = scratch<T, 1>(p.n * height * size());
    }
    int64 size() const { return (ROW_POINTS * tiles + width) * channels; }
    T* at(int64 n, int64 row) const { return data + (n * height + row) * size(); }
    T* tile(int64 n, int64 row, int point, int64 t) const { return at(n, row) + (point * tiles + t) * channels; }
    T* pixel(int64 n, int64 row, int64 i) const { return at(n, row) + (ROW_POINTS * tiles + i) * channels; }
};

template <class T>
void transform_row(const Conv3x3Params& p, const Rows<T>& rows, int64 n, int64 row) {
    const T* x = static_cast<const T*>(p.x) + (n * p.h + row - 1) * p.w * p.c;
    const T* s = static_cast<const T*>(p.s);
    for (int64 t = 0; t < rows.tiles; t++)
        for (int64 c = 0; c < p.c; c += LANES<T>) {
            const Vector<T> style = s ? load(s + n * p.c + c) : broadcast(T(1));
            Vector<T> d[ROW_REACH], out[ROW_POINTS];
            for (int i = 0; i < ROW_REACH; i++) {
                const int64 at = t * TILE - 1 + i;
                d[i] = at >= 0 && at < p.w ? load(x + at * p.c + c) * style : Vector<T>{};
                if (i > 0 && at < p.w) store(rows.pixel(n, row, at) + c, d[i]);
            }
            RowBt::apply(d, out);
            for (int point = 0; point < ROW_POINTS; point++) store(rows.tile(n, row, point, t) + c, out[point]);
        }
}

template <class T>
Rows<T> transform_rows(const Conv3x3Params& p) {
    const Rows<T> rows(p);
#pragma omp parallel for collapse(2)
    for (int64 n = 0; n < p.n; n++)
        for (int64 row = 0; row < rows.height; row++)
            if (row == 0 || row == rows.height - 1) std::fill(rows.at(n, row), rows.at(n, row) + rows.size(), T(0));
            else transform_row(p, rows, n, row);
    return rows;
}

// The tiles or pixels of a block, numbered along rows of `across` without a division.
struct Block {
    int count;
    int64 row[BLOCK_ROWS], column[BLOCK_ROWS];
};

template <class F>
void each_block(int64 a, int64 b, int64 across, F f) {
    int64 row = a, column = 0;
    for (int64 left = (b - a) * across; left > 0; left -= BLOCK_ROWS) {
        Block block{int(std::min<int64>(BLOCK_ROWS, left)), {}, {}};
        for (int m = 0; m < block.count; m++) {
            block.row[m] = row;
            block.column[m] = column;
            if (++column == across) column = 0, row++;
        }
        f(block);
    }
}

// Products of a block with one panel, for every point of the phase; the points of an input lie `point_step` apart.
template <class T>
void multiply_block(const Conv3x3Params& p, const Rows<T>& rows, const Phase& phase, int64 panel, int count,
                    const T** from, int64 point_step, T (*values)[BLOCK_ROWS][PANEL<T>]) {
    // Tap 0 is kernel row 0 or 1 of input i, which is row i + 1 here; tap 1 is kernel row 2 of input i - 1.
    const int64 offsets[2] = {rows.size(), 0}, panels = p.o / PANEL<T>;
    const T* weight = static_cast<const T*>(p.weight);
    weight += (phase.first * panels + panel * phase.points * phase.taps) * p.c * PANEL<T>;
    for (int point = 0; point < phase.points; point++, weight += phase.taps * p.c * PANEL<T>) {
        T* out[BLOCK_ROWS];
        for (int m = 0; m < count; m++) out[m] = values[point][m];
        multiply<T>(count, {from, offsets, phase.taps, p.c, 1, weight, PANEL<T>}, out);
        for (int m = 0; m < count; m++) from[m] += point_step;
    }
}

// Rows 2 i + parity of the convolution for inputs i = a … b - 1, one panel of channels.
template <class T>
void upsample_rows(const Conv3x3Params& p, const Rows<T>& rows, int64 n, int64 panel, int parity, int64 a, int64 b,
                   const Target<T>& target) {
    alignas(64) T values[ROW_POINTS][BLOCK_ROWS][PANEL<T>];
    const T* from[BLOCK_ROWS];
    each_block(a, b, rows.tiles, [&](const Block& block) {
        for (int m = 0; m < block.count; m++) from[m] = rows.tile(n, block.row[m], 0, block.column[m]);
        multiply_block(p, rows, PHASES[parity][0], panel, block.count, from, rows.tiles * p.c, values);
        for (int m = 0; m < block.count; m++)
            for (int v = 0; v < PANEL<T>; v += LANES<T>) {
                Vector<T> products[ROW_POINTS], out[TILE];
                for (int point = 0; point < ROW_POINTS; point++) products[point] = load(values[point][m] + v);
                RowAt::apply(products, out);
                const int64 column = block.column[m] * TILE;
                for (int j = 0; j < TILE && column + j <= p.w; j++)
                    store(target.at(2 * block.row[m] + parity, 2 * (column + j)) + v, out[j]);
            }
    });
    each_block(a, b, p.w, [&](const Block& block) {
        for (int m = 0; m < block.count; m++) from[m] = rows.pixel(n, block.row[m], block.column[m]);
        multiply_block(p, rows, PHASES[parity][1], panel, block.count, from, 0, values);
        for (int m = 0; m < block.count; m++)
            std::copy(values[0][m], values[0][m] + PANEL<T>, target.at(2 * block.row[m] + parity, 2 * block.column[m] + 1));
    });
}

template <class T>
struct Upsampling {
    const Conv3x3Params& p;
    const Rows<T> input;

    void prepare(int64, int64, int64) const {}

    void rows(int64 n, int64 panel, int64 begin, int64 end, const Target<T>& target) const {
        for (int parity = 0; parity < 2; parity++)
            upsample_rows(p, input, n, panel, parity, (begin - parity + 1) / 2, (end - parity + 1) / 2, target);
    }
};

// Without a filter: each task is a few rows of the input.
template <class T>
void upsample(const Conv3x3Params& p, const Upsampling<T>& convolution) {
    const int64 height = 2 * p.h + 1, row_step = (2 * p.w + 1) * p.o;
    advise_huge_pages(p.y, p.n * height * row_step * sizeof(T));
#pragma omp parallel for collapse(3) schedule(dynamic)
    for (int64 n = 0; n < p.n; n++)
        for (int64 begin = 0; begin < height; begin += 2 * STRIP)
            for (int64 panel = 0; panel < p.o / PANEL<T>; panel++) {
                T* y = static_cast<T*>(p.y) + n * height * row_step + panel * PANEL<T>;
                convolution.rows(n, panel, begin, std::min(begin + 2 * STRIP, height), Target<T>{y, row_step, p.o});
            }
}

template <class T>
void run(const Conv3x3Params& p) {
    const Upsampling<T> convolution{p, transform_rows<T>(p)};
    if (!p.f) return upsample(p, convolution);
    const int64 fitting = CACHE_BYTES / (PRODUCTS * p.c * PANEL<T> * sizeof(T));  // panels that have weights in the cache
    upsample_filtered<T, PANEL<T>>(p, STRIP, std::clamp<int64>(fitting, 1, p.o / PANEL<T>), convolution);
}

// Packed [phase][panel][point][tap][C][PANEL].
template <class T>
void pack(const PackParams& p) {
    const T* w = static_cast<const T*>(p.w);
    const int64 panels = p.o / PANEL<T>;
#pragma omp parallel for collapse(2)
    for (int phase = 0; phase < 4; phase++)
        for (int64 panel = 0; panel < panels; panel++) {
            const auto [taps, points, first] = PHASES[phase / 2][phase % 2];
            T* out = static_cast<T*>(p.packed) + (first * panels + panel * points * taps) * p.c * PANEL<T>;
            for (int tap = 0; tap < taps; tap++)
                for (int64 c = 0; c < p.c; c++)
                    for (int r = 0; r < PANEL<T>; r++) {
                        const int ky = phase / 2 ? 1 : 2 * tap;
                        const T* row = w + (panel * PANEL<T> + r) * p.stride_o + c * p.stride_c + ky * p.stride_y;
                        const T g[2] = {row[2 * p.stride_x], row[0]};  // of inputs i - 1 and i
                        T products[ROW_POINTS] = {row[p.stride_x]};
                        if (points > 1) RowG::apply(g, products);
                        for (int point = 0; point < points; point++)
                            out[((point * taps + tap) * p.c + c) * PANEL<T> + r] = products[point];
                    }
        }
}

}  // namespace

extern "C" int upsampling_conv3x3(const Conv3x3Params* p) {
    return answer_float(p->dtype, [&](auto scalar) { run<decltype(scalar)>(*p); });
}

extern "C" int upsampling_weight(const PackParams* p) {
    return answer_float(p->dtype, [&](auto scalar) { pack<decltype(scalar)>(*p); });
}

// 3x3 convolution at stride 1 with padding 1, channels last, by Winograd's F(4x4, 3x3) (winograd.h).
#include "cpu/winograd.h"

#include "cpu/convolution.h"

namespace {

struct Tiles {
    int64 across, down, per_image, count;
    Tiles(int64 n, int64 h, int64 w)
        : across((w + TILE - 1) / TILE), down((h + TILE - 1) / TILE), per_image(across * down),
          count(n * per_image) {}
};

// An image batch, channels last.
template <class T>
struct Images {
    const T* data;
    int64 h, w, c;
    const T* at(int64 n, int64 y, int64 x) const { return data + ((n * h + y) * w + x) * c; }
};

// Transformed tiles [POINTS][tiles][channels]; the points lie an odd number of cache lines apart, because a power
// of two would map all 36 streams to the same few cache sets.
template <class T>
struct Planes {
    T* data;
    int64 channels, stride;
    static int64 elements(int64 tiles, int64 channels) { return POINTS * point_stride(tiles, channels); }
    static int64 point_stride(int64 tiles, int64 channels) {
        constexpr int64 line = 64 / sizeof(T);
        return (up_to_multiple(tiles * channels, line) / line | 1) * line;
    }
    Planes(T* data, int64 tiles, int64 channels)
        : data(data), channels(channels), stride(point_stride(tiles, channels)) {}
    T* at(int point, int64 tile) const { return data + point * stride + tile * channels; }
};

// M d Mt for the square d of pixels that starts at (y0, x0): zero outside the image, each channel times its style.
template <class M, class T>
void transform_pixels(const Images<T>& x, const T* s, int64 n, int64 y0, int64 x0, const Planes<T>& out, int64 slot) {
    static constexpr T nothing[2 * LANES<T>] = {};
    const T* from[M::IN][M::IN];
    int64 step[M::IN][M::IN];  // a pixel outside stays at `nothing`, whatever the channel
    for (int i = 0; i < M::IN; i++)
        for (int j = 0; j < M::IN; j++) {
            const bool known = y0 + i >= 0 && y0 + i < x.h && x0 + j >= 0 && x0 + j < x.w;
            from[i][j] = known ? x.at(n, y0 + i, x0 + j) : nothing;
            step[i][j] = known;
        }
    for (int64 c = 0; c < x.c; c += LANES<T>) {
        const Vector<T> style = s ? load(s + n * x.c + c) : broadcast(T(1));
        T* to = out.at(0, slot) + c;
        sandwich<M, Vector<T>>([&](int i, int j) { return load(from[i][j] + c * step[i][j]) * style; },
                               [&](int i, int j, Vector<T> v) { store(to + (i * REACH + j) * out.stride, v); });
    }
}

// Results of one tile: At M A, then what follows the convolution.
template <class T>
void transform_output(const Conv3x3Params& p, const Finish<T>& finish, int64 n, int64 ty, int64 tx,
                      const Planes<T>& M, int64 slot, int64 first, int64 channels) {
    T* y = static_cast<T*>(p.y) + n * p.h * p.w * p.o;
    const int64 rows = std::min<int64>(TILE, p.h - ty * TILE), columns = std::min<int64>(TILE, p.w - tx * TILE);
    for (int64 c = 0; c < channels; c += LANES<T>) {
        const T* in = M.at(0, slot) + c;
        sandwich<At, Vector<T>>([&](int i, int j) { return load(in + (i * REACH + j) * M.stride); },
                                [&](int i, int j, Vector<T> v) {
                                    if (i >= rows || j >= columns) return;
                                    const int64 pixel = (ty * TILE + i) * p.w + tx * TILE + j;
                                    store(y + pixel * p.o + first + c, finish(v, n, p.o, first + c, pixel));
                                });
    }
}

// M = V U, point by point, for panels first … last - 1 of the output channels.
template <class T>
void multiply_points(const Planes<T>& V, const T* U, const Planes<T>& M, int64 tiles, int64 first, int64 last,
                     int64 all_panels) {
    const int64 panel_size = V.channels * PANEL<T>, no_offset = 0;
    for (int point = 0; point < POINTS; point++)
        for (int64 panel = first; panel < last; panel++)
            for (int64 tile = 0; tile < tiles; tile += BLOCK_ROWS) {
                const int count = int(std::min<int64>(BLOCK_ROWS, tiles - tile));
                const T* rows[BLOCK_ROWS];
                T* out[BLOCK_ROWS];
                for (int m = 0; m < count; m++) {
                    rows[m] = V.at(point, tile + m);
                    out[m] = M.at(point, tile + m) + (panel - first) * PANEL<T>;
                }
                const T* packed = U + (point * all_panels + panel) * panel_size;
                multiply<T>(count, {rows, &no_offset, 1, V.channels, 1, packed, PANEL<T>}, out);
            }
}

// Tasks are chunks of tiles times slices of output channels: a chunk's transforms stay in the cache, and small
// images with many channels still give every thread a task (each slice then repeats the transform of its input).
struct Cut {
    int64 chunk, chunks, slice, slices;
    Cut(int64 tiles, int64 c, int64 all_panels, int64 panel, int64 scalar, int threads) {
        const int64 fitting = CACHE_BYTES / 3 / (POINTS * scalar * (c + std::min<int64>(all_panels * panel, 128)));
        chunk = std::min(up_to_multiple(std::max<int64>(fitting, 24), BLOCK_ROWS), tiles);
        chunks = (tiles + chunk - 1) / chunk;
        slice = all_panels;
        while (chunks * ((all_panels + slice - 1) / slice) < 2 * threads && slice > 4) slice = (slice + 1) / 2;
        slices = (all_panels + slice - 1) / slice;
    }
};

template <class T>
void convolve(const Conv3x3Params& p) {
    const Tiles tiles(p.n, p.h, p.w);
    const Images<T> x{static_cast<const T*>(p.x), p.h, p.w, p.c};
    const int64 all_panels = p.o / PANEL<T>;
    const Cut cut(tiles.count, p.c, all_panels, PANEL<T>, sizeof(T), omp_get_max_threads());
    const Finish<T> finish(p.has_epilogue ? &p.epilogue : nullptr);
    const T* s = static_cast<const T*>(p.s);
    advise_huge_pages(p.y, p.n * p.h * p.w * p.o * sizeof(T));
    Shortage shortage;
#pragma omp parallel for schedule(dynamic)
    for (int64 task = 0; task < cut.chunks * cut.slices; task++) {
        const int64 start = task / cut.slices * cut.chunk, count = std::min(cut.chunk, tiles.count - start);
        const int64 first = task % cut.slices * cut.slice, last = std::min(first + cut.slice, all_panels);
        const int64 width = (last - first) * PANEL<T>;
        const int64 v_size = Planes<T>::elements(count, p.c);
        T* memory = nullptr;
        shortage.attempt([&] { memory = scratch<T>(v_size + Planes<T>::elements(count, width)); });
        if (!memory) continue;
        const Planes<T> V(memory, count, p.c), M(memory + v_size, count, width);
        auto each = [&](auto transform) {
            for (int64 i = 0; i < count; i++) {
                const int64 n = (start + i) / tiles.per_image, at = (start + i) % tiles.per_image;
                transform(n, at / tiles.across, at % tiles.across, i);
            }
        };
        each([&](int64 n, int64 ty, int64 tx, int64 i) {  // the 6x6 inputs start one pixel before the 4x4 results
            transform_pixels<Bt>(x, s, n, ty * TILE - 1, tx * TILE - 1, V, i);
        });
        multiply_points(V, static_cast<const T*>(p.weight), M, count, first, last, all_panels);
        each([&](int64 n, int64 ty, int64 tx, int64 i) {
            transform_output(p, finish, n, ty, tx, M, i, first * PANEL<T>, width);
        });
    }
    shortage.raise();
}

// U = G w Gt, packed [POINTS][panels][I][PANEL] for `multiply`.
template <class T>
void transform_weight(const PackParams& p) {
    const T* w = static_cast<const T*>(p.w);
    T* U = static_cast<T*>(p.packed);
    const int64 all_panels = p.o / PANEL<T>;
#pragma omp parallel for collapse(2)
    for (int64 panel = 0; panel < all_panels; panel++)
        for (int64 c = 0; c < p.c; c++)
            for (int half = 0; half < 2; half++) {
                const int64 first = panel * PANEL<T> + half * LANES<T>;
                auto get = [&](int i, int j) {
                    Vector<T> v{};
                    for (int r = 0; r < LANES<T>; r++)
                        v[r] = w[(first + r) * p.stride_o + c * p.stride_c + i * p.stride_y + j * p.stride_x];
                    return v;
                };
                sandwich<G, Vector<T>>(get, [&](int i, int j, Vector<T> v) {
                    const int64 at = ((i * REACH + j) * all_panels + panel) * p.c + c;
                    store(U + at * PANEL<T> + half * LANES<T>, v);
                });
            }
}

// dw = Gt (sum over tiles of V dMt) G, where dM = A dy At: the transpose of the algorithm, at the same cost.
template <class T>
void weight_gradient(const WeightGradientParams& p) {
    const Tiles tiles(p.n, p.h, p.w);
    const Images<T> x{static_cast<const T*>(p.x), p.h, p.w, p.c}, dy{static_cast<const T*>(p.dy), p.h, p.w, p.o};
    const int64 fitting = 2 * CACHE_BYTES / (POINTS * int64(sizeof(T)) * (p.c + p.o));
    const int64 chunk = std::min(std::max<int64>(fitting, 64), tiles.count);
    const int64 v_size = Planes<T>::elements(chunk, p.c), m_size = Planes<T>::elements(chunk, p.o);
    const int64 dU_size = POINTS * p.c * p.o;
    T* memory = scratch<T, 1>(v_size + m_size + dU_size);
    const Planes<T> V(memory, chunk, p.c), M(memory + v_size, chunk, p.o);
    T* dU = memory + v_size + m_size;  // [POINTS][C][O]
    const int64 no_offset = 0;
    std::fill(dU, dU + dU_size, T(0));
    for (int64 start = 0; start < tiles.count; start += chunk) {
        const int64 count = std::min(chunk, tiles.count - start);
#pragma omp parallel
        {
#pragma omp for
            for (int64 i = 0; i < count; i++) {
                const int64 n = (start + i) / tiles.per_image, at = (start + i) % tiles.per_image;
                const int64 y0 = at / tiles.across * TILE, x0 = at % tiles.across * TILE;
                transform_pixels<Bt>(x, static_cast<const T*>(nullptr), n, y0 - 1, x0 - 1, V, i);
                transform_pixels<A>(dy, static_cast<const T*>(nullptr), n, y0, x0, M, i);
            }
#pragma omp for collapse(2)
            for (int point = 0; point < POINTS; point++)
                for (int64 first = 0; first < p.o; first += PANEL<T>)
                    multiply_transposed(p.c, V.at(point, 0),
                                        {nullptr, &no_offset, 1, count, p.c, M.at(point, 0) + first, p.o},
                                        dU + point * p.c * p.o + first, p.o);
        }
    }
    T* dw = static_cast<T*>(p.dw);
#pragma omp parallel for
    for (int64 o = 0; o < p.o; o += LANES<T>)
        for (int64 c = 0; c < p.c; c++)
            sandwich<Gt, Vector<T>>(
                [&](int i, int j) { return load(dU + ((i * REACH + j) * p.c + c) * p.o + o); },
                [&](int i, int j, Vector<T> v) {
                    for (int r = 0; r < LANES<T>; r++) dw[((o + r) * p.c + c) * 9 + i * 3 + j] = v[r];
                });
}

}  // namespace

extern "C" int winograd_conv3x3(const Conv3x3Params* p) {
    return answer_float(p->dtype, [&](auto scalar) { convolve<decltype(scalar)>(*p); });
}

extern "C" int winograd_weight(const PackParams* p) {
    return answer_float(p->dtype, [&](auto scalar) { transform_weight<decltype(scalar)>(*p); });
}

extern "C" int winograd_weight_gradient(const WeightGradientParams* p) {
    return answer_float(p->dtype, [&](auto scalar) { weight_gradient<decltype(scalar)>(*p); });
}

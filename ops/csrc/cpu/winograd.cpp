// 3x3 convolution at stride 1 with padding 1, channels last, by Winograd's F(4x4, 3x3) (winograd.h).
#include "cpu/tiles.h"

namespace {

// Transformed tiles [POINTS][tiles][channels].
template <class T>
struct Planes {
    T* data;
    int64 channels, stride;
    static int64 elements(int64 tiles, int64 channels) { return POINTS * point_stride<T>(tiles * channels); }
    Planes(T* data, int64 tiles, int64 channels)
        : data(data), channels(channels), stride(point_stride<T>(tiles * channels)) {}
    T* at(int point, int64 tile) const { return data + point * stride + tile * channels; }
};

// A tile's transform, row `slot` of every point; the 6x6 inputs of Bt start one pixel before the 4x4 results.
template <class M, class T>
void transform_tile(const Images<const T>& x, const T* s, Tiling::Place at, const Planes<T>& out, int64 slot) {
    constexpr int before = (M::IN - TILE) / 2;
    T* to = out.at(0, slot);
    transform_pixels<M>(x, s, at.n, at.row * TILE - before, at.column * TILE - before, TILE,
                        [&](int i, int j, int64 c, Vector<T> v) { store(to + (i * REACH + j) * out.stride + c, v); });
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
    const Tiling tiling(p.h, p.w, TILE);
    const Images<const T> x{static_cast<const T*>(p.x), p.h, p.w, p.c};
    const Images<T> y{static_cast<T*>(p.y), p.h, p.w, p.o};
    const int64 all_panels = p.o / PANEL<T>, tiles = p.n * tiling.per_image;
    const Cut cut(tiles, p.c, all_panels, PANEL<T>, sizeof(T), omp_get_max_threads());
    const Finish<T> finish(p.has_epilogue ? &p.epilogue : nullptr);
    const T* s = static_cast<const T*>(p.s);
    advise_huge_pages(p.y, p.n * p.h * p.w * p.o * sizeof(T));
    Shortage shortage;
#pragma omp parallel for schedule(dynamic)
    for (int64 task = 0; task < cut.chunks * cut.slices; task++) {
        const int64 start = task / cut.slices * cut.chunk, count = std::min(cut.chunk, tiles - start);
        const int64 first = task % cut.slices * cut.slice, last = std::min(first + cut.slice, all_panels);
        const int64 width = (last - first) * PANEL<T>;
        const int64 v_size = Planes<T>::elements(count, p.c);
        T* memory = nullptr;
        shortage.attempt([&] { memory = scratch<T>(v_size + Planes<T>::elements(count, width)); });
        if (!memory) continue;
        const Planes<T> V(memory, count, p.c), M(memory + v_size, count, width);
        tiling.each(start, count, [&](Tiling::Place at, int64 i) { transform_tile<Bt>(x, s, at, V, i); });
        multiply_points(V, static_cast<const T*>(p.weight), M, count, first, last, all_panels);
        tiling.each(start, count, [&](Tiling::Place at, int64 i) {
            store_results<At>(y, finish, at.n, at.row * TILE, at.column * TILE, first * PANEL<T>, width, M.at(0, i), M.stride);
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
    const Tiling tiling(p.h, p.w, TILE);
    const int64 tiles = p.n * tiling.per_image;
    const Images<const T> x{static_cast<const T*>(p.x), p.h, p.w, p.c}, dy{static_cast<const T*>(p.dy), p.h, p.w, p.o};
    const int64 fitting = 2 * CACHE_BYTES / (POINTS * int64(sizeof(T)) * (p.c + p.o));
    const int64 chunk = std::min(std::max<int64>(fitting, 64), tiles);
    const int64 v_size = Planes<T>::elements(chunk, p.c), m_size = Planes<T>::elements(chunk, p.o);
    const int64 dU_size = POINTS * p.c * p.o;
    T* memory = scratch<T, 1>(v_size + m_size + dU_size);
    const Planes<T> V(memory, chunk, p.c), M(memory + v_size, chunk, p.o);
    T* dU = memory + v_size + m_size;  // [POINTS][C][O]
    const int64 no_offset = 0;
    std::fill(dU, dU + dU_size, T(0));
    for (int64 start = 0; start < tiles; start += chunk) {
        const int64 count = std::min(chunk, tiles - start);
#pragma omp parallel
        {
#pragma omp for
            for (int64 i = 0; i < count; i++) {
                const Tiling::Place at = tiling.place(start + i);
                transform_tile<Bt>(x, static_cast<const T*>(nullptr), at, V, i);
                transform_tile<A>(dy, static_cast<const T*>(nullptr), at, M, i);
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

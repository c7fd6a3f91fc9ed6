// Tiles of images for Winograd's algorithm: from pixels to points, and from sums of products to results.
#pragma once

#include "cpu/convolution.h"
#include "cpu/winograd.h"

// A batch of images [N, H, W, C].
template <class T>
struct Images {
    T* data;
    int64 h, w, c;
    T* at(int64 n, int64 y, int64 x) const { return data + ((n * h + y) * w + x) * c; }
};

// Tiles of `size` x `size` results, which cover h x w results of each image.
struct Tiling {
    int64 down, across, per_image;
    Tiling(int64 h, int64 w, int64 size)
        : down((h + size - 1) / size), across((w + size - 1) / size), per_image(down * across) {}

    struct Place {
        int64 n, row, column;
    };
    Place place(int64 tile) const { return {tile / per_image, tile % per_image / across, tile % across}; }

    // work(place, i) for tiles start + i, i = 0 … count - 1.
    template <class Work>
    void each(int64 start, int64 count, Work work) const {
        for (int64 i = 0; i < count; i++) work(place(start + i), i);
    }
};

// Fetch pixels x0 … x1 - 1 of rows y0 … y1 - 1, from channel `first` on, before they are needed: tiles jump between
// rows, which the CPU does not foresee. It must be inlined: g++ removes calls of functions that do nothing else.
template <bool WRITE, class T>
[[gnu::always_inline]] inline void prefetch(const Images<T>& images, int64 n, int64 y0, int64 y1, int64 x0, int64 x1,
                                            int64 first, int64 channels) {
    if (x1 > images.w) return;
    for (int64 y = std::max<int64>(y0, 0); y < std::min(y1, images.h); y++)
        for (int64 x = x0; x < x1; x++) {
            const T* pixel = images.at(n, y, x) + first;
            for (int64 c = 0; c < channels; c += 64 / sizeof(T)) __builtin_prefetch(pixel + c, WRITE);
        }
}

// Elements from one point of transformed tiles to the next: an odd number of cache lines, because a power of two would map
// all points to the same few cache sets.
template <class T>
constexpr int64 point_stride(int64 elements) {
    constexpr int64 line = 64 / sizeof(T);
    return (up_to_multiple(elements, line) / line | 1) * line;
}

// M d Mt for the square d of pixels that starts at (y0, x0), zero outside the image, each channel times its style s [N, C]:
// put(i, j, c, v) for every vector of channels. The next tile is `step` columns to the right.
template <class M, class T, class Put>
inline void transform_pixels(const Images<const T>& x, const T* s, int64 n, int64 y0, int64 x0, int64 step, Put put) {
    static constexpr T nothing[2 * LANES<T>] = {};
    const T* from[M::IN][M::IN];
    int64 inside[M::IN][M::IN];  // all bits, or none: a pixel outside stays at `nothing`, whatever the channel
    for (int i = 0; i < M::IN; i++)
        for (int j = 0; j < M::IN; j++) {
            const bool known = y0 + i >= 0 && y0 + i < x.h && x0 + j >= 0 && x0 + j < x.w;
            from[i][j] = known ? x.at(n, y0 + i, x0 + j) : nothing;
            inside[i][j] = known ? -1 : 0;
        }
    prefetch<false>(x, n, y0, y0 + M::IN, x0 + M::IN, x0 + M::IN + step, 0, x.c);
    for (int64 c = 0; c < x.c; c += LANES<T>) {
        const Vector<T> style = s ? load(s + n * x.c + c) : broadcast(T(1));
        sandwich<M, Vector<T>>([&](int i, int j) { return load(from[i][j] + (c & inside[i][j])) * style; },
                               [&](int i, int j, Vector<T> v) { put(i, j, c, v); });
    }
}

// Results M m Mt from sums m that lie `stride` apart, for channels from `first` on: those inside the image are finished and
// stored from (y0, x0) on.
template <class M, class T>
inline void store_results(const Images<T>& y, const Finish<T>& finish, int64 n, int64 y0, int64 x0, int64 first,
                          int64 channels, const T* sums, int64 stride) {
    prefetch<true>(y, n, y0, y0 + M::OUT, x0 + M::OUT, x0 + 2 * M::OUT, first, channels);
    for (int64 c = 0; c < channels; c += LANES<T>)
        sandwich<M, Vector<T>>([&](int i, int j) { return load(sums + c + (i * M::IN + j) * stride); },
                               [&](int i, int j, Vector<T> v) {
                                   if (y0 + i >= y.h || x0 + j >= y.w) return;
                                   const int64 pixel = (y0 + i) * y.w + x0 + j;
                                   store(y.at(n, 0, 0) + pixel * y.c + first + c, finish(v, n, y.c, first + c, pixel));
                               });
}

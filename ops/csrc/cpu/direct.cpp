// 3x3 convolution, channels last, as products of shifted pixels: at stride 2, and for small images; and the gradient
// of the strided and of the transposed convolution with respect to their weights.
#include "cpu/convolution.h"

namespace {

constexpr int64 PIXEL_BLOCK = 96;  // results that share one read of the weights
constexpr int64 STRIP = 4;         // rows of pixels that one product of a weight gradient sums

// The input with every pixel that a tap may read.
template <class T>
struct Source {
    const T* data;
    int64 h, w, c;  // of one image, padding included
    const T* pixel(int64 n, int64 y, int64 x) const { return data + ((n * h + y) * w + x) * c; }
};

// x * s, for SAME with a border of one zero pixel; x itself if there is neither a style nor a border.
template <class T>
Source<T> padded(const Conv3x3Params& p) {
    const T *x = static_cast<const T*>(p.x), *s = static_cast<const T*>(p.s);
    const int64 border = p.mode == DOWN ? 0 : 1;
    if (!border && !s) return {x, p.h, p.w, p.c};
    const int64 h = p.h + 2 * border, w = p.w + 2 * border;
    T* out = scratch<T, 1>(p.n * h * w * p.c);
#pragma omp parallel for collapse(2)
    for (int64 n = 0; n < p.n; n++)
        for (int64 y = 0; y < h; y++) {
            T* row = out + (n * h + y) * w * p.c;
            const bool empty = y < border || y >= h - border;
            for (int64 i = 0; i < w; i++, row += p.c) {
                if (empty || i < border || i >= w - border) {
                    std::fill(row, row + p.c, T(0));
                    continue;
                }
                const T* from = x + ((n * p.h + y - border) * p.w + i - border) * p.c;
                for (int64 c = 0; c < p.c; c += LANES<T>)
                    store(row + c, s ? load(from + c) * load(s + n * p.c + c) : load(from + c));
            }
        }
    return {out, h, w, p.c};
}

// SAME and DOWN: tasks are blocks of results times panels.
template <class T>
void convolve(const Conv3x3Params& p) {
    const int64 step = p.mode == DOWN ? 2 : 1;
    const int64 h = p.mode == DOWN ? (p.h - 1) / 2 : p.h, w = p.mode == DOWN ? (p.w - 1) / 2 : p.w;
    advise_huge_pages(p.y, p.n * h * w * p.o * sizeof(T));
    const Source<T> source = padded<T>(p);
    const Finish<T> finish(p.has_epilogue ? &p.epilogue : nullptr);
    const int64 pixels = p.n * h * w;
    int64 offsets[9];
    for (int k = 0; k < 9; k++) offsets[k] = (k / 3 * source.w + k % 3) * p.c;
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64 start = 0; start < pixels; start += PIXEL_BLOCK)
        for (int64 panel = 0; panel < p.o / PANEL<T>; panel++) {
            const T* weight = static_cast<const T*>(p.weight) + panel * 9 * p.c * PANEL<T>;
            T* y = static_cast<T*>(p.y) + panel * PANEL<T>;
            for (int64 i = start; i < std::min(start + PIXEL_BLOCK, pixels); i += BLOCK_ROWS) {
                const int count = int(std::min<int64>(BLOCK_ROWS, pixels - i));
                alignas(64) T values[BLOCK_ROWS][PANEL<T>];
                const T* rows[BLOCK_ROWS];
                T* out[BLOCK_ROWS];
                for (int m = 0; m < count; m++) {
                    const int64 n = (i + m) / (h * w), at = (i + m) % (h * w);
                    rows[m] = source.pixel(n, at / w * step, at % w * step);
                    out[m] = values[m];
                }
                multiply<T>(count, {rows, offsets, 9, p.c, 1, weight, PANEL<T>}, out);
                for (int m = 0; m < count; m++)
                    for (int v = 0; v < PANEL<T>; v += LANES<T>)
                        store(y + (i + m) * p.o + v, finish(load(values[m] + v), (i + m) / (h * w), p.o,
                                                            panel * PANEL<T> + v, (i + m) % (h * w)));
            }
        }
}

// Packed [panel][tap][C][PANEL].
template <class T>
void pack(const PackParams& p) {
    const T* w = static_cast<const T*>(p.w);
#pragma omp parallel for collapse(2)
    for (int64 panel = 0; panel < p.o / PANEL<T>; panel++)
        for (int k = 0; k < 9; k++) {
            const T* tap = w + k / 3 * p.stride_y + k % 3 * p.stride_x;
            T* out = static_cast<T*>(p.packed) + (panel * 9 + k) * p.c * PANEL<T>;
            for (int64 c = 0; c < p.c; c++)
                for (int r = 0; r < PANEL<T>; r++)
                    *out++ = tap[(panel * PANEL<T> + r) * p.stride_o + c * p.stride_c];
        }
}

// Row y of the small image meets rows 2 y … 2 y + 2 of the large one; the gradients of DOWN and UP both pair them.
template <class T>
void weight_gradient(const WeightGradientParams& p) {
    const bool down = p.mode == DOWN;
    const int64 large_h = down ? p.h : 2 * p.h + 1, large_w = down ? p.w : 2 * p.w + 1;
    const int64 small_h = (large_h - 1) / 2, small_w = (large_w - 1) / 2;
    const int64 c_step = down ? 2 * p.c : p.c, o_step = down ? p.o : 2 * p.o;  // from one pair to the next
    const int64 c_row = down ? 2 * large_w * p.c : small_w * p.c, o_row = down ? small_w * p.o : 2 * large_w * p.o;
    int64 rows[STRIP];
    for (int64 i = 0; i < STRIP; i++) rows[i] = i * c_row;
    T* sums = scratch<T, 1>(9 * p.c * p.o);  // [tap][C][O]
    std::fill(sums, sums + 9 * p.c * p.o, T(0));
    const int64 strips = (small_h + STRIP - 1) / STRIP;
    const int64 chunk = std::max<int64>(1, CACHE_BYTES / (STRIP * (c_row + o_row) * int64(sizeof(T))));
    for (int64 start = 0; start < p.n * strips; start += chunk)
#pragma omp parallel for collapse(2)
        for (int k = 0; k < 9; k++)
            for (int64 panel = 0; panel < p.o / PANEL<T>; panel++)
                for (int64 i = start; i < std::min(start + chunk, p.n * strips); i++) {
                    const int64 n = i / strips, y = i % strips * STRIP, count = std::min(STRIP, small_h - y);
                    const int64 large = (n * large_h + 2 * y + k / 3) * large_w + k % 3;
                    const int64 small = (n * small_h + y) * small_w;
                    const T* x = static_cast<const T*>(p.x) + (down ? large : small) * p.c;
                    const T* dy = static_cast<const T*>(p.dy) + (down ? small : large) * p.o + panel * PANEL<T>;
                    multiply_transposed(p.c, x, {nullptr, rows, count, small_w, c_step, dy, o_step, o_row - small_w * o_step},
                                        sums + k * p.c * p.o + panel * PANEL<T>, p.o);
                }
    T* dw = static_cast<T*>(p.dw);
    for (int64 o = 0; o < p.o; o++)
        for (int64 c = 0; c < p.c; c++)
            for (int k = 0; k < 9; k++) *dw++ = sums[(k * p.c + c) * p.o + o];
}

}  // namespace

extern "C" int direct_conv3x3(const Conv3x3Params* p) {
    return answer_float(p->dtype, [&](auto scalar) { convolve<decltype(scalar)>(*p); });
}

extern "C" int direct_weight(const PackParams* p) {
    return answer_float(p->dtype, [&](auto scalar) { pack<decltype(scalar)>(*p); });
}

extern "C" int direct_weight_gradient(const WeightGradientParams* p) {
    return answer_float(p->dtype, [&](auto scalar) { weight_gradient<decltype(scalar)>(*p); });
}

extern "C" int conv3x3_multiple() { return PANEL<float>; }

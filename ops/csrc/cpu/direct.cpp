// 3x3 convolution, channels last, as products of shifted pixels: strided, transposed, and for small images.
#include "cpu/convolution.h"

namespace {

constexpr int64 PIXEL_BLOCK = 96;  // results that share one read of the weights
constexpr int64 STRIP = 4;         // input rows that one step of an upsampling consumes

// The taps that reach results of one parity; an upsampling has four such phases, the other modes one.
struct Phase {
    int y, x;       // parity of the results
    int taps;
    int kernel[9];  // index ky * 3 + kx of each tap
    int dy[9], dx[9];  // the input that it meets, in the padded image, relative to the result's position
    int first;      // taps of the phases before
};

// Row ky of a transposed convolution sends input i to result 2 i + ky: even results take rows 0 (of input i) and 2
// (of input i - 1), odd ones row 1. The padded image starts one pixel earlier.
Phase upsampling_phase(int parity_y, int parity_x) {
    constexpr int first[2][2] = {{0, 4}, {6, 8}};
    Phase phase{parity_y, parity_x, 0, {}, {}, {}, first[parity_y][parity_x]};
    for (int ky = parity_y; ky < 3; ky += 2)
        for (int kx = parity_x; kx < 3; kx += 2) {
            phase.kernel[phase.taps] = ky * 3 + kx;
            phase.dy[phase.taps] = ky == 2 ? 0 : 1;
            phase.dx[phase.taps++] = kx == 2 ? 0 : 1;
        }
    return phase;
}

Phase single_phase() {
    Phase phase{0, 0, 9, {}, {}, {}, 0};
    for (int k = 0; k < 9; k++) {
        phase.kernel[k] = k;
        phase.dy[k] = k / 3;
        phase.dx[k] = k % 3;
    }
    return phase;
}

// A view of the input with every pixel that a tap may meet.
template <class T>
struct Source {
    const T* data;
    int64 h, w, c;  // of one image, padding included
    const T* pixel(int64 n, int64 y, int64 x) const { return data + ((n * h + y) * w + x) * c; }
};

// x * s with a border of one zero pixel; x itself where nothing is to be done.
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

// Results start … end of one panel of channels: at(i) is the pixel that result i starts from, put(i, values) takes it.
template <class T, class At, class Put>
void multiply_pixels(const Conv3x3Params& p, const Source<T>& source, const Phase& phase, int64 panel, int64 start,
                     int64 end, At at, Put put) {
    int64 offsets[9];
    for (int t = 0; t < phase.taps; t++) offsets[t] = (phase.dy[t] * source.w + phase.dx[t]) * source.c;
    const int64 before = phase.first * p.o / PANEL<T> + phase.taps * panel;
    const T* weight = static_cast<const T*>(p.weight) + before * source.c * PANEL<T>;
    for (int64 i = start; i < end; i += BLOCK_ROWS) {
        const int count = int(std::min<int64>(BLOCK_ROWS, end - i));
        alignas(64) T values[BLOCK_ROWS][PANEL<T>];
        const T* rows[BLOCK_ROWS];
        T* out[BLOCK_ROWS];
        for (int m = 0; m < count; m++) {
            rows[m] = at(i + m);
            out[m] = values[m];
        }
        multiply<T>(count, {rows, offsets, phase.taps, source.c, 1, weight, PANEL<T>}, out);
        for (int m = 0; m < count; m++) put(i + m, values[m]);
    }
}

// SAME and DOWN: tasks are blocks of results times panels.
template <class T>
void convolve(const Conv3x3Params& p) {
    const int64 step = p.mode == DOWN ? 2 : 1;
    const int64 h = p.mode == DOWN ? (p.h - 1) / 2 : p.h, w = p.mode == DOWN ? (p.w - 1) / 2 : p.w;
    const Source<T> source = padded<T>(p);
    const Phase phase = single_phase();
    const Finish<T> finish(p.has_epilogue ? &p.epilogue : nullptr);
    const int64 all_panels = p.o / PANEL<T>, pixels = p.n * h * w;
    T* y = static_cast<T*>(p.y);
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64 start = 0; start < pixels; start += PIXEL_BLOCK)
        for (int64 panel = 0; panel < all_panels; panel++)
            multiply_pixels(
                p, source, phase, panel, start, std::min(start + PIXEL_BLOCK, pixels),
                [&](int64 i) { return source.pixel(i / (h * w), i / w % h * step, i % w * step); },
                [&](int64 i, const T* values) {
                    for (int64 j = 0; j < PANEL<T>; j += LANES<T>) {
                        const int64 c = panel * PANEL<T> + j;
                        store(y + i * p.o + c, finish(load(values + j), i / (h * w), p.o, c, i % (h * w)));
                    }
                });
}

// Rows of an upsampled image for one panel of channels: [rows][2 W + 3][PANEL], a zero column at either side.
template <class T>
struct Strip {
    T* data;
    int64 columns;
    T* at(int64 row, int64 column) const { return data + (row * columns + column) * PANEL<T>; }
};

// Rows 2 i + parity of the transposed convolution, for inputs i = a … b - 1, to every second row of the strip.
template <class T>
void upsample_rows(const Conv3x3Params& p, const Source<T>& source, int64 n, int64 panel, int parity, int64 a, int64 b,
                   const Strip<T>& strip, int64 row) {
    const int64 from = std::max<int64>(a, 0), to = std::min(b, p.h + 1 - parity);
    for (int64 i = a; i < b; i++)
        if (i < from || i >= to) std::fill(strip.at(row + 2 * (i - a), 0), strip.at(row + 2 * (i - a) + 1, 0), T(0));
    for (int parity_x = 0; parity_x < 2; parity_x++) {
        const int64 width = p.w + 1 - parity_x;
        multiply_pixels(
            p, source, upsampling_phase(parity, parity_x), panel, 0, (to - from) * width,
            [&](int64 i) { return source.pixel(n, from + i / width, i % width); },
            [&](int64 i, const T* values) {
                T* out = strip.at(row + 2 * (from - a + i / width), 1 + 2 * (i % width) + parity_x);
                std::copy(values, values + PANEL<T>, out);
            });
    }
}

// One row of the filtered image, from four rows of the strip.
template <class T>
void filter_row(const Conv3x3Params& p, const Finish<T>& finish, int64 n, int64 panel, int64 out_row,
                const Strip<T>& strip, int64 row) {
    const T* f = static_cast<const T*>(p.f);
    const int64 width = 2 * p.w;
    T* y = static_cast<T*>(p.y) + (n * 2 * p.h + out_row) * width * p.o;
    for (int64 x = 0; x < width; x += 2) {  // neighbours share their loads
        Vector<T> sum[2][2] = {};
        for (int ky = 0; ky < 4; ky++)
            for (int i = 0; i < 5; i++)
                for (int v = 0; v < 2; v++) {
                    const Vector<T> in = load(strip.at(row + ky, x + i) + v * LANES<T>);
                    if (i < 4) sum[0][v] += in * f[ky * 4 + i];
                    if (i > 0) sum[1][v] += in * f[ky * 4 + i - 1];
                }
        for (int i = 0; i < 2; i++)
            for (int v = 0; v < 2; v++) {
                const int64 c = panel * PANEL<T> + v * LANES<T>;
                store(y + (x + i) * p.o + c, finish(sum[i][v], n, p.o, c, out_row * width + x + i));
            }
    }
}

// UP with its filter: a task walks down a band of the image and keeps three rows from one step to the next.
template <class T>
void upsample_filtered(const Conv3x3Params& p) {
    const Source<T> source = padded<T>(p);
    const Finish<T> finish(p.has_epilogue ? &p.epilogue : nullptr);
    const int64 all_panels = p.o / PANEL<T>, wanted = 4 * omp_get_max_threads();
    const int64 bands = std::min(std::max<int64>(1, p.h / (4 * STRIP)), std::max<int64>(1, wanted / (p.n * all_panels)));
#pragma omp parallel for collapse(3) schedule(dynamic)
    for (int64 n = 0; n < p.n; n++)
        for (int64 band = 0; band < bands; band++)
            for (int64 panel = 0; panel < all_panels; panel++) {
                const int64 top = band * p.h / bands, bottom = (band + 1) * p.h / bands;
                const int64 columns = 2 * p.w + 3, rows = 2 * STRIP + 3;
                const Strip<T> strip{scratch<T>(rows * columns * PANEL<T>), columns};
                for (int64 row = 0; row < rows; row++) {
                    std::fill(strip.at(row, 0), strip.at(row, 1), T(0));
                    std::fill(strip.at(row, columns - 1), strip.at(row, columns), T(0));
                }
                // Rows 2 a … 2 b - 1 of the result need rows 2 a - 1 … 2 b + 1 of the convolution.
                upsample_rows(p, source, n, panel, 1, top - 1, top + 1, strip, 0);
                upsample_rows(p, source, n, panel, 0, top, top + 1, strip, 1);
                for (int64 a = top; a < bottom; a += STRIP) {
                    const int64 b = std::min(a + STRIP, bottom);
                    upsample_rows(p, source, n, panel, 0, a + 1, b + 1, strip, 3);
                    upsample_rows(p, source, n, panel, 1, a + 1, b + 1, strip, 4);
                    for (int64 row = 0; row < 2 * (b - a); row++)
                        filter_row(p, finish, n, panel, 2 * a + row, strip, row);
                    std::copy(strip.at(2 * (b - a), 0), strip.at(2 * (b - a) + 3, 0), strip.at(0, 0));
                }
            }
}

// UP alone: results by phase, tasks are a few rows of the input.
template <class T>
void upsample(const Conv3x3Params& p) {
    const Source<T> source = padded<T>(p);
    T* y = static_cast<T*>(p.y);
    const int64 height = 2 * p.h + 1, width = 2 * p.w + 1;
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64 n = 0; n < p.n; n++)
        for (int64 start = 0; start <= p.h; start += STRIP)
            for (int phase = 0; phase < 4; phase++) {
                const int parity_y = phase / 2, parity_x = phase % 2;
                const int64 rows = std::min(start + STRIP, p.h + 1 - parity_y) - start, across = p.w + 1 - parity_x;
                for (int64 panel = 0; panel < p.o / PANEL<T>; panel++)
                    multiply_pixels(
                        p, source, upsampling_phase(parity_y, parity_x), panel, 0, rows * across,
                        [&](int64 i) { return source.pixel(n, start + i / across, i % across); },
                        [&](int64 i, const T* values) {
                            const int64 out_y = 2 * (start + i / across) + parity_y, out_x = 2 * (i % across) + parity_x;
                            T* out = y + ((n * height + out_y) * width + out_x) * p.o + panel * PANEL<T>;
                            std::copy(values, values + PANEL<T>, out);
                        });
            }
}

// Packed [phase][panel][tap][C][PANEL].
template <class T>
void pack(const PackParams& p, const Phase& phase) {
    const T* w = static_cast<const T*>(p.w);
    const int64 all_panels = p.o / PANEL<T>;
    T* packed = static_cast<T*>(p.packed) + phase.first * p.c * PANEL<T> * all_panels;
#pragma omp parallel for collapse(2)
    for (int64 panel = 0; panel < all_panels; panel++)
        for (int64 t = 0; t < phase.taps; t++) {
            const T* tap = w + phase.kernel[t] / 3 * p.stride_y + phase.kernel[t] % 3 * p.stride_x;
            T* out = packed + (panel * phase.taps + t) * p.c * PANEL<T>;
            for (int64 c = 0; c < p.c; c++)
                for (int r = 0; r < PANEL<T>; r++)
                    *out++ = tap[(panel * PANEL<T> + r) * p.stride_o + c * p.stride_c];
        }
}

// Row y of the small image meets rows 2 y … 2 y + 2 of the large one; both gradients of DOWN and UP pair them.
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

template <class T>
void convolve_any(const Conv3x3Params& p) {
    const int64 pixels = p.mode == UP ? 4 * p.h * p.w : (p.h / 2) * (p.w / 2);  // of a result, at least
    advise_huge_pages(p.y, p.n * pixels * p.o * sizeof(T));
    if (p.mode != UP) convolve<T>(p);
    else if (p.f) upsample_filtered<T>(p);
    else upsample<T>(p);
}

template <class T>
void pack_any(const PackParams& p) {
    if (p.mode != UP) return pack<T>(p, single_phase());
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 2; x++) pack<T>(p, upsampling_phase(y, x));
}

}  // namespace

extern "C" int direct_conv3x3(const Conv3x3Params* p) {
    if (p->dtype == FLOAT64) convolve_any<double>(*p);
    else convolve_any<float>(*p);
    return 0;
}

extern "C" int direct_weight(const PackParams* p) {
    if (p->dtype == FLOAT64) pack_any<double>(*p);
    else pack_any<float>(*p);
    return 0;
}

extern "C" int direct_weight_gradient(const WeightGradientParams* p) {
    if (p->dtype == FLOAT64) weight_gradient<double>(*p);
    else weight_gradient<float>(*p);
    return 0;
}

extern "C" int conv3x3_multiple() { return PANEL<float>; }

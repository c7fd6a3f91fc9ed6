// The low-pass filter that follows a 3x3 convolution of a zero-inserted image, and its epilogue, in one pass over the
// image: shared by the convolutions in float32 and double (upsampling.cpp) and in bfloat16 (bf16_conv3x3.cpp).
#pragma once

#include "cpu/convolution.h"

constexpr int64 STRIP = 4;  // input rows that one step consumes

// Where results go: column 0 of the row of input 0, and the elements from one row or column to the next.
template <class T>
struct Target {
    T* first;
    int64 row_step, column_step;
    T* at(int64 i, int64 column) const { return first + i * row_step + column * column_step; }
};

// Rows of the convolution for one panel of channels: [rows][2 W + 3][COLUMNS], with a zero column at either side.
template <class T, int64 COLUMNS>
struct Strip {
    T* data;
    int64 columns;
    T* at(int64 row, int64 column) const { return data + (row * columns + column) * COLUMNS; }

    // Write rows 2 i + parity for inputs i = a … b - 1 to every second row from `row` on; zeros outside the image.
    template <class Convolution>
    void fill(const Conv3x3Params& p, const Convolution& convolution, int64 n, int64 panel, int parity, int64 a, int64 b,
              int64 row) const {
        const int64 from = std::max<int64>(a, 0), to = std::min(b, p.h + 1 - parity);
        for (int64 i = a; i < b; i++)
            if (i < from || i >= to) std::fill(at(row + 2 * (i - a), 0), at(row + 2 * (i - a) + 1, 0), T(0));
        const int64 step = 2 * columns * COLUMNS;
        convolution(n, panel, parity, from, to, Target<T>{at(row, 1) - a * step, step, COLUMNS});
    }
};

// One row of the filtered image, from four rows of the strip.
template <class T, int64 COLUMNS>
void filter_row(const Conv3x3Params& p, const Finish<T>& finish, int64 n, int64 panel, int64 out_row,
                const Strip<T, COLUMNS>& strip, int64 row) {
    const T* f = static_cast<const T*>(p.f);
    const int64 width = 2 * p.w, first = panel * COLUMNS, channels = std::min(COLUMNS, p.o - first);
    T* y = static_cast<T*>(p.y) + (n * 2 * p.h + out_row) * width * p.o + first;
    for (int64 x = 0; x < width; x += 2)  // neighbouring pixels share their loads
        for (int64 c = 0; c < channels; c += PANEL<T>) {
            Vector<T> sum[2][2] = {};
            for (int ky = 0; ky < 4; ky++)
                for (int i = 0; i < 5; i++)
                    for (int v = 0; v < 2; v++) {
                        const Vector<T> in = load(strip.at(row + ky, x + i) + c + v * LANES<T>);
                        if (i < 4) sum[0][v] += in * f[ky * 4 + i];
                        if (i > 0) sum[1][v] += in * f[ky * 4 + i - 1];
                    }
            for (int i = 0; i < 2; i++)
                for (int v = 0; v < 2; v++) {
                    const int64 at = c + v * LANES<T>;
                    store(y + (x + i) * p.o + at, finish(sum[i][v], n, p.o, first + at, out_row * width + x + i));
                }
        }
}

// With the filter: a task walks down a band of the image and keeps three rows from one step to the next. It computes
// as many panels at a time as have weights that fit into the cache, so that they share the rows of input.
//
// `convolution(n, panel, parity, a, b, target)` writes rows 2 i + parity of the convolution for inputs i = a … b - 1 and
// for COLUMNS channels, whose weights take `panel_bytes`.
template <class T, int64 COLUMNS, class Convolution>
void upsample_filtered(const Conv3x3Params& p, int64 panel_bytes, const Convolution& convolution) {
    advise_huge_pages(p.y, p.n * 4 * p.h * p.w * p.o * sizeof(T));
    const Finish<T> finish(p.has_epilogue ? &p.epilogue : nullptr);
    const int64 panels = (p.o + COLUMNS - 1) / COLUMNS;
    const int64 group = std::clamp<int64>(CACHE_BYTES / panel_bytes, 1, panels);
    const int64 groups = (panels + group - 1) / group, wanted = 4 * omp_get_max_threads();
    const int64 bands = std::min(std::max<int64>(1, p.h / (4 * STRIP)), std::max<int64>(1, wanted / (p.n * groups)));
    const int64 columns = 2 * p.w + 3, kept = 2 * STRIP + 3;
    Shortage shortage;
#pragma omp parallel for collapse(3) schedule(dynamic)
    for (int64 n = 0; n < p.n; n++)
        for (int64 band = 0; band < bands; band++)
            for (int64 first = 0; first < panels; first += group) {
                const int64 last = std::min(first + group, panels);
                const int64 top = band * p.h / bands, bottom = (band + 1) * p.h / bands;
                T* memory = nullptr;
                shortage.attempt([&] { memory = scratch<T>(group * kept * columns * COLUMNS); });
                if (!memory) continue;
                auto strip_of = [&](int64 panel) {
                    return Strip<T, COLUMNS>{memory + (panel - first) * kept * columns * COLUMNS, columns};
                };
                // Rows 2 a … 2 b - 1 of the result need rows 2 a - 1 … 2 b + 1 of the convolution.
                for (int64 panel = first; panel < last; panel++) {
                    const Strip<T, COLUMNS> strip = strip_of(panel);
                    for (int64 row = 0; row < kept; row++) {
                        std::fill(strip.at(row, 0), strip.at(row, 1), T(0));
                        std::fill(strip.at(row, columns - 1), strip.at(row, columns), T(0));
                    }
                    strip.fill(p, convolution, n, panel, 1, top - 1, top + 1, 0);
                    strip.fill(p, convolution, n, panel, 0, top, top + 1, 1);
                }
                for (int64 a = top; a < bottom; a += STRIP)
                    for (int64 panel = first; panel < last; panel++) {
                        const int64 b = std::min(a + STRIP, bottom);
                        const Strip<T, COLUMNS> strip = strip_of(panel);
                        strip.fill(p, convolution, n, panel, 0, a + 1, b + 1, 3);
                        strip.fill(p, convolution, n, panel, 1, a + 1, b + 1, 4);
                        for (int64 row = 0; row < 2 * (b - a); row++)
                            filter_row(p, finish, n, panel, 2 * a + row, strip, row);
                        std::copy(strip.at(2 * (b - a), 0), strip.at(2 * (b - a) + 3, 0), strip.at(0, 0));
                    }
            }
    shortage.raise();
}

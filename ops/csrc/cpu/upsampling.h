// The low-pass filter that follows a 3x3 convolution of a zero-inserted image, and its epilogue, in one pass over the
// image: shared by the convolutions in float32 and double (upsampling.cpp) and in bfloat16 (bf16_conv3x3.cpp).
#pragma once

#include "cpu/convolution.h"

// Where results go: column 0 of row 0, and the elements from one row or column to the next.
template <class T>
struct Target {
    T* first;
    int64 row_step, column_step;
    T* at(int64 row, int64 column) const { return first + row * row_step + column * column_step; }
};

// Rows of the convolution for one panel of channels: [rows][2 W + 3][COLUMNS], with a zero column at either side.
template <class T, int64 COLUMNS>
struct Strip {
    T* data;
    int64 columns;
    T* at(int64 row, int64 column) const { return data + (row * columns + column) * COLUMNS; }

    void clear_sides(int64 rows) const {
        for (int64 row = 0; row < rows; row++) {
            std::fill(at(row, 0), at(row, 1), T(0));
            std::fill(at(row, columns - 1), at(row, columns), T(0));
        }
    }

    // Write rows `begin` to `end` - 1 of the convolution, which has `rows` rows, from `row` on; zeros outside.
    template <class Convolution>
    void fill(const Convolution& convolution, int64 n, int64 panel, int64 begin, int64 end, int64 rows, int64 row) const {
        const int64 from = std::clamp<int64>(begin, 0, rows), to = std::clamp<int64>(end, from, rows);
        std::fill(at(row, 0), at(row + from - begin, 0), T(0));
        std::fill(at(row + to - begin, 0), at(row + end - begin, 0), T(0));
        const int64 step = columns * COLUMNS;
        if (from < to) convolution.rows(n, panel, from, to, Target<T>{at(row, 1) - begin * step, step, COLUMNS});
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
            for (int i = 8; i < 10; i++)
                for (int v = 0; v < 2; v++) __builtin_prefetch(y + (x + i) * p.o + c + v * LANES<T>, 1);
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
// `group` panels at a time, which share the rows of input.
//
// A step consumes `step` rows of input. `convolution.prepare(n, begin, end)` announces rows of the convolution, and
// `convolution.rows(n, panel, begin, end, target)` writes rows `begin` to `end` - 1 of them for COLUMNS channels.
template <class T, int64 COLUMNS, class Convolution>
void upsample_filtered(const Conv3x3Params& p, int64 step, int64 group, const Convolution& convolution) {
    advise_huge_pages(p.y, p.n * 4 * p.h * p.w * p.o * sizeof(T));
    const Finish<T> finish(p.has_epilogue ? &p.epilogue : nullptr);
    const int64 panels = (p.o + COLUMNS - 1) / COLUMNS, groups = (panels + group - 1) / group;
    const int64 steps = (p.h + step) / step;  // the convolution has results of one row of input more than x has
    const int64 wanted = 2 * omp_get_max_threads() / (p.n * groups);
    const int64 bands = std::clamp<int64>(std::min(wanted, p.h / 16), 1, steps);
    const int64 columns = 2 * p.w + 3, rows = 2 * p.h + 1, kept = 2 * step + 3;
    auto run_band = [&](int64 n, int64 band, int64 first) {
        const int64 last = std::min(first + group, panels);
        T* memory = scratch<T>(group * kept * columns * COLUMNS);
        auto each_panel = [&](int64 begin, int64 end, auto work) {
            if (begin < rows && end > 0) convolution.prepare(n, std::max<int64>(begin, 0), std::min(end, rows));
            for (int64 panel = first; panel < last; panel++)
                work(panel, Strip<T, COLUMNS>{memory + (panel - first) * kept * columns * COLUMNS, columns});
        };
        const int64 top = 2 * step * (band * steps / bands), bottom = 2 * step * ((band + 1) * steps / bands);
        each_panel(top - 3, top, [&](int64 panel, const Strip<T, COLUMNS>& strip) {
            strip.clear_sides(kept);
            strip.fill(convolution, n, panel, top - 3, top, rows, 0);
        });
        for (int64 begin = top; begin < bottom; begin += 2 * step) {
            const int64 end = std::min(begin + 2 * step, rows + 1);
            each_panel(begin, end, [&](int64 panel, const Strip<T, COLUMNS>& strip) {
                strip.fill(convolution, n, panel, begin, end, rows, 3);
                for (int64 row = std::max<int64>(begin - 2, 0); row < end - 2; row++)  // from rows row - 1 … row + 2
                    filter_row(p, finish, n, panel, row, strip, row - (begin - 2));
                std::copy(strip.at(end - begin, 0), strip.at(end - begin + 3, 0), strip.at(0, 0));
            });
        }
    };
    Shortage shortage;
#pragma omp parallel for collapse(3) schedule(dynamic)
    for (int64 n = 0; n < p.n; n++)
        for (int64 band = 0; band < bands; band++)
            for (int64 first = 0; first < panels; first += group) shortage.attempt([&] { run_band(n, band, first); });
    shortage.raise();
}
